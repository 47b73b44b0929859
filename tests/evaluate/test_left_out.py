"""A problem whose own reference does not pass here, or whose tests cannot be run, is left out: for everyone, and openly."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from evaluate_helpers import DOUBLE, ECHO, NEGATE, OWN, RIGHT, WRONG, benchmark, read_rows, write_rows

from asap.benchmarks.problem import Calls, Problem, Program, Stdin
from asap.benchmarks.traces import traces
from asap.cli import run
from asap.errors import UsageError
from asap.evaluate.attempt import Attempt
from asap.evaluate.judge import Judge, verdicts_of
from asap.evaluate.ledger import Ledger
from asap.evaluate.paired import compare
from asap.evaluate.paired_run import read_run
from asap.evaluate.paired_tables import comparison_markdown
from asap.evaluate.reference import LimitSettings, References
from asap.evaluate.score import score_file
from asap.evaluate.summary import figures, notes_of
from asap.sandbox import Limits, Verdict

if TYPE_CHECKING:
    from asap.sandbox import Sandbox

LIMITS = LimitSettings(least_s=2.0)
FAULT = "the reference solution does not pass here: fail: "
WRONGLY = replace(DOUBLE, references=[WRONG["double"]])


def records(tmp_path: Path, sandbox: "Sandbox", problem: Problem, *texts: str, kind: str = "solution") -> list[dict[str, Any]]:
    with Ledger.open(tmp_path / "out") as ledger:
        attempts = [Attempt(problem.task_id, number, kind, text) for number, text in enumerate(texts)]
        return verdicts_of(Judge(sandbox, ledger, LIMITS, 2), benchmark(problem), attempts, "last")


def test_nobody_is_judged_where_the_reference_fails(tmp_path: Path, sandbox: "Sandbox") -> None:
    found = records(tmp_path, sandbox, WRONGLY, RIGHT["double"], WRONG["double"], "")
    found += records(tmp_path, sandbox, WRONGLY, "It is two times x.", kind="generation")
    assert {(row["verdict"], row["passed"], row["left_out"]) for row in found} == {("infra", False, "reference")}
    assert all(row["detail"].startswith(FAULT) for row in found)


def test_nobody_is_judged_where_the_right_outputs_are_not_known(tmp_path: Path, sandbox: "Sandbox") -> None:
    assert isinstance(NEGATE.check, Calls)
    broken = replace(NEGATE, check=replace(NEGATE.check, expected=()), references=["def negate(x):\n    raise ValueError\n"])
    [row] = records(tmp_path, sandbox, broken, RIGHT["negate"])
    assert (row["verdict"], row["left_out"]) == ("infra", "reference")
    assert row["detail"].startswith("the reference solution does not pass here: error: ValueError")


def test_nobody_is_judged_where_there_are_no_tests(tmp_path: Path, sandbox: "Sandbox") -> None:
    untested = replace(ECHO, check=Stdin([], [], lambda output, expected: True))
    [row] = records(tmp_path, sandbox, untested, RIGHT["echo"])
    assert (row["verdict"], row["left_out"], row["detail"]) == (
        "infra",
        "tests",
        "the problem has no tests in this file, so nothing can be said",
    )
    [row] = records(tmp_path, sandbox, replace(untested, untestable="rows.jsonl, line 4: tests is int"), RIGHT["echo"])
    assert row["detail"] == "rows.jsonl, line 4: tests is int"


def test_nobody_is_judged_where_the_tests_need_another_program(tmp_path: Path, sandbox: "Sandbox") -> None:
    source = "import subprocess\nfrom solution import double\ndef test_a(): assert double(2) == 4\n"
    needy = source + "def test_b(): subprocess.run(['git', '--version'], check=True)\n"
    alone = replace(DOUBLE, check=Program(needy, None, None, isolation="together"), references=[])
    found = records(tmp_path / "alone", sandbox, alone, RIGHT["double"], WRONG["double"])
    assert {(row["verdict"], row["left_out"], row["detail"]) for row in found} == {
        ("infra", "tests", "the tests need the program git, which no sandbox gives")
    }
    found = records(tmp_path / "failed", sandbox, replace(alone, references=[RIGHT["double"]]), RIGHT["double"])
    assert [(row["left_out"], row["detail"].partition(": ")[2]) for row in found] == [
        ("reference", "infra: the tests need the program git")
    ]
    passed = replace(alone, check=Program(source + "def test_b(): subprocess.run(['python3', '-V'])\n", None, None, isolation="together"))
    assert [row["verdict"] for row in records(tmp_path / "passed", sandbox, passed, RIGHT["double"], WRONG["double"])] == ["pass", "fail"]


def test_one_of_several_references_is_enough(tmp_path: Path, sandbox: "Sandbox") -> None:
    several = replace(DOUBLE, references=["print 'for Python 2'", WRONG["double"], RIGHT["double"]])
    assert [row["verdict"] for row in records(tmp_path, sandbox, several, RIGHT["double"], WRONG["double"])] == ["pass", "fail"]
    [row] = records(tmp_path / "fewer", sandbox, replace(DOUBLE, references=several.references[:2]), RIGHT["double"])
    assert "SyntaxError" in row["detail"], "the first failure is told"


class Scripted:
    """A sandbox that gives these verdicts one after the other."""

    kind = "bwrap"

    def __init__(self, *verdicts: Verdict, identity: str = "this") -> None:
        self.left, self.identity = list(verdicts), identity

    def judge(self, check: Program, solution: str, limits: Limits) -> Verdict:
        return self.left.pop(0)


def test_a_reference_gets_a_second_chance_when_nothing_else_runs(tmp_path: Path) -> None:
    told = list[str]()
    with Ledger.open(tmp_path / "out") as ledger:
        sandbox: Any = Scripted(Verdict("timeout", wall_only=True), Verdict("pass", cpu_s=0.5), Verdict("pass"))
        judge = Judge(sandbox, ledger, LIMITS, 1, lambda what, done, total: told.append(what))
        [row] = verdicts_of(judge, benchmark(), [Attempt("double", 0, "solution", RIGHT["double"])], "last")
    assert (row["verdict"], told) == ("pass", ["reference solutions", "reference solutions again, alone", "judged"])


def test_references_that_ran_before_an_interruption_do_not_run_again(tmp_path: Path) -> None:
    problems = [replace(DOUBLE, task_id=name, references=[f"{DOUBLE.references[0]}# {name}\n"]) for name in "abc"]
    attempts = [Attempt(name, 0, "solution", RIGHT["double"]) for name in "abc"]

    def run_with(*verdicts: Verdict) -> int:
        sandbox: Any = Scripted(*verdicts)
        with Ledger.open(tmp_path / "out") as ledger:
            found = verdicts_of(Judge(sandbox, ledger, LIMITS, 1), benchmark(*problems), attempts, "last")
        assert not sandbox.left
        return sum(row["passed"] for row in found)

    with pytest.raises(IndexError):  # the script ends at the third reference
        run_with(Verdict("pass"), Verdict("pass"))
    assert run_with(Verdict("pass"), *[Verdict("pass")] * 3) == 3
    assert run_with() == 3


def test_what_a_reference_did_is_kept_under_all_that_it_depends_on(tmp_path: Path) -> None:
    def prepare(sandbox: Any, settings: LimitSettings = LIMITS, problem: Problem = DOUBLE, again: bool = True) -> bool:
        return References(sandbox, settings, tmp_path).prepare(problem, again=again).fault is None

    none = Scripted()
    assert prepare(Scripted(Verdict("pass")))
    assert prepare(none)
    assert not prepare(Scripted(Verdict("fail"), identity="other packages"))
    assert not prepare(Scripted(identity="other packages")), "a failure that came twice is kept too"
    assert not prepare(Scripted(Verdict("memory")), replace(LIMITS, memory_mb=64))
    assert not prepare(Scripted(Verdict("error")), problem=replace(DOUBLE, references=["x"]))
    tests = replace(DOUBLE, check=Program("def check(candidate):\n    assert candidate(3) == 6\n", "double"))
    for verdict, again in ((Verdict("fail"), False), (Verdict("infra"), True), (Verdict("timeout", wall_only=True), True)):
        assert not prepare(Scripted(verdict), problem=tests, again=again)
    assert prepare(Scripted(Verdict("pass")), problem=tests), "what may be chance is not kept"


def test_a_sandbox_is_another_one_with_other_packages(sandbox: "Sandbox") -> None:
    from asap.sandbox.identity import sandbox_identity
    from asap.sandbox.packages import visible_packages

    usual, more = visible_packages(), visible_packages(["yaml"])
    assert sandbox_identity("bwrap", more) != sandbox_identity("bwrap", usual) != sandbox_identity("none", usual)
    assert sandbox.identity[0] == "bwrap"


def problems_file(tmp_path: Path, wrong: int) -> Path:
    """Three problems, of which the references of the last `wrong` fail."""
    rows = [{"task_id": f"own/{number}", **OWN} for number in range(3)]
    for row in rows[3 - wrong :]:
        row["canonical_solution"] = "    return x\n"
    return write_rows(tmp_path / "own.jsonl", rows)


def score(tmp_path: Path, wrong: int, out: str = "out", right: bool = True) -> tuple[int, dict[str, Any]]:
    problems = problems_file(tmp_path, wrong)
    text = "    return x + 1\n" if right else "    return x + 2\n"
    attempts = write_rows(tmp_path / "attempts.jsonl", [{"task_id": f"own/{number}", "completion": text} for number in range(3)])
    code = run(["score", str(attempts), "--benchmark", f"humaneval:{problems}", "--out", str(tmp_path / out)])
    entry: dict[str, Any] = json.loads((tmp_path / out / "summary.json").read_text())["benchmarks"][0]
    return code, entry


@pytest.mark.usefixtures("sandbox")
def test_pass_at_1_is_over_the_others_and_the_summary_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, entry = score(tmp_path, wrong=2)
    assert (code, entry["pass@1"], entry["scored"], entry["attempted"]) == (0, 1.0, 1, 3)
    assert [one["task_id"] for one in entry["left_out"]] == ["own/1", "own/2"]
    assert entry["verdicts"] == {"infra": 2, "pass": 1}
    said = capsys.readouterr()
    note = "2 problems left out: the reference solution does not pass here (own/1, own/2)"
    assert f"over 1 of 3 problems ({note})" in said.out
    assert f"note: own/1 is left out: {FAULT}" in said.err
    text = (tmp_path / "out/summary.md").read_text()
    assert note in text
    assert f"- own/2 is left out: {FAULT}" in text


@pytest.mark.usefixtures("sandbox")
def test_without_one_problem_there_is_no_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, entry = score(tmp_path, wrong=3)
    assert code == 1
    assert "pass@1" not in entry
    assert (
        "asap: humaneval:own.jsonl: none of the 3 problems attempted can be judged here, so there is no Pass@1" in capsys.readouterr().err
    )
    assert [row["verdict"] for row in read_rows(tmp_path / "out/verdicts.jsonl")] == ["infra"] * 3


@pytest.mark.usefixtures("sandbox")
def test_runs_are_compared_on_the_problems_that_both_could_judge(tmp_path: Path) -> None:
    score(tmp_path, wrong=0, out="all", right=False)
    score(tmp_path, wrong=1, out="most")
    score(tmp_path, wrong=3, out="none")
    compared = compare(read_run(tmp_path / "all"), read_run(tmp_path / "most"))
    [entry] = compared["benchmarks"]
    assert (entry["problems"], entry["only_a"], entry["only_b"], entry["left_out"]) == (2, 0, 0, ["own/2"])
    assert (entry["pass"]["a"], entry["pass"]["b"], entry["pass"]["only_b"]) == (0.0, 1.0, 2)
    assert "1 problem is in no pair, since one of the runs could not judge it: own/2" in comparison_markdown(compared)
    with pytest.raises(UsageError, match="none of the 3 problems that both runs answer could be judged in both"):
        compare(read_run(tmp_path / "all"), read_run(tmp_path / "none"))


def test_more_than_three_are_counted(tmp_path: Path, sandbox: "Sandbox", capsys: pytest.CaptureFixture[str]) -> None:
    from asap.cli.sandbox_options import print_faults

    problems = [replace(WRONGLY, task_id=f"w{number}") for number in range(5)]
    rows = [{"task_id": problem.task_id, "solution": RIGHT["double"]} for problem in problems]
    summary = score_file(write_rows(tmp_path / "a.jsonl", rows), benchmark(*problems), tmp_path / "out", sandbox, limits=LIMITS)
    assert print_faults(summary) == 1
    said = capsys.readouterr().err
    assert said.count(" is left out: ") == 3
    assert "note: 2 problems more left out; summary.json names them" in said


EQUAL = "from solution import made\ndef test_a():\n    assert made(1) == 1\n"
MADE = "class V:\n    def __init__(self, x): self.x = x\n    def __eq__(self, other): return self.x == other\ndef made(x): return V(x)\n"
STACK = "from solution import Stack\ndef test_a():\n    s = Stack()\n    s.push(1)\n    assert s.size() == 1\n"
RIGHT_STACK = (
    "class Stack(object):\n    def __init__(self): self.n = 0\n    def push(self, x): self.n += 1\n    def size(self): return self.n\n"
)
PRINTED = "from solution import made\ndef test_a(capsys):\n    made(1)\n    assert capsys.readouterr().out == '1\\n'\n"


@pytest.mark.parametrize(
    ("tests", "reference", "alone", "isolation"),
    [
        (EQUAL, MADE, "apart", "together"),
        (STACK, RIGHT_STACK, "together", "apart"),
        (PRINTED, "def made(x): print(x)\n", "together", "together"),
    ],
)
def test_the_reference_says_whether_tests_and_solution_share_a_process(
    tmp_path: Path, sandbox: "Sandbox", tests: str, reference: str, alone: str, isolation: str
) -> None:
    path = write_rows(tmp_path / "tests.jsonl", [{"id": "a", "question": "?", "test_file": tests, "reference_solution": reference}])
    [problem] = traces(path)
    assert isinstance(problem.check, Program)
    assert problem.check.isolation == alone
    [right, wrong, no_answer] = records(tmp_path, sandbox, problem, reference, "def made(x): return 0\nclass Stack: pass\n", "")
    assert [(row["verdict"], row["isolation"]) for row in (right, wrong)] == [("pass", isolation), (wrong["verdict"], isolation)]
    assert not wrong["passed"]
    assert no_answer["isolation"] == isolation
    entry = figures(benchmark(problem), [right, wrong, no_answer])
    assert entry["isolation"] == {isolation: 3}
    assert ("3 of 3 judged in one process with the tests" in notes_of(entry)) == (isolation == "together")


def test_a_reference_that_passes_in_neither_leaves_the_problem_out(tmp_path: Path, sandbox: "Sandbox") -> None:
    path = write_rows(
        tmp_path / "tests.jsonl", [{"id": "a", "question": "?", "test_file": EQUAL, "reference_solution": "def made(x): pass"}]
    )
    [row] = records(tmp_path, sandbox, traces(path)[0], MADE)
    assert (row["verdict"], row["left_out"]) == ("infra", "reference")


def test_tests_that_never_call_the_solution_are_not_tried_in_its_process(tmp_path: Path, sandbox: "Sandbox") -> None:
    own = "from solution import double\n\n\ndef double(x):\n    return 2 * x\n\n\ndef test_it():\n    assert double(2) == 4\n"
    [row] = records(tmp_path, sandbox, replace(DOUBLE, check=Program(own, None, None)), RIGHT["double"])
    assert (row["verdict"], row["left_out"]) == ("infra", "reference")
    assert row["detail"] == f"{FAULT}the tests never called the solution"
    found = records(
        tmp_path / "alone", sandbox, replace(DOUBLE, check=Program(own, None, None), references=[]), RIGHT["double"], "import x"
    )
    assert {(row["verdict"], row["left_out"]) for row in found} == {("infra", "tests")}


@pytest.mark.parametrize(("calls", "left_out"), [("twice(2)", "tests"), ("double(2)", None)])
def test_tests_that_pass_with_a_solution_that_does_nothing_are_left_out(
    calls: str, left_out: str | None, tmp_path: Path, sandbox: "Sandbox"
) -> None:
    file = f"from solution import double\n\n\ndef twice(x):\n    return 2 * x\n\n\ndef test_it(capsys):\n    assert {calls} == 4\n"
    problem = replace(DOUBLE, references=[], check=Program(file, None, None, isolation="together"))
    right, wrong = records(tmp_path, sandbox, problem, RIGHT["double"], WRONG["double"])
    assert (right.get("left_out"), wrong.get("left_out")) == (left_out, left_out)
    assert (right["verdict"], wrong["passed"]) == ("infra" if left_out else "pass", False)


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("assert f is not None", "infra"),
        ("assert callable(f)", "infra"),
        ("if sys.version_info > (9,):\n        assert f(1) == 2", "infra"),
        ("assert f(1) == 2", "pass"),
    ],
)
def test_tests_that_never_call_a_solution_book_nothing_on_it(tmp_path: Path, sandbox: "Sandbox", line: str, verdict: str) -> None:
    check = Program(f"import sys\nfrom solution import f\n\ndef test_f():\n    {line}\n", None, None)
    [row] = records(tmp_path, sandbox, Problem("own", "", None, check), "def f(x):\n    return x + 1\n")
    assert (row["verdict"], row["isolation"]) == (verdict, "apart")
    if verdict == "infra":
        assert row["detail"] == "the tests never call the solution, so they say nothing"
