"""Scoring in the real sandbox: right and wrong attempts, resuming, references, and files that are no use."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from evaluate_helpers import DOUBLE, RIGHT, WRONG, answer, benchmark, read_rows, write_rows

from asap.benchmarks.problem import Calls, Problem
from asap.errors import InputError, UsageError
from asap.evaluate.attempt import Attempt
from asap.evaluate.judge import Judge, verdicts_of
from asap.evaluate.ledger import Ledger
from asap.evaluate.reference import LimitSettings, References
from asap.evaluate.score import score_file
from asap.store.content import Contents, Database

if TYPE_CHECKING:
    from asap.sandbox import Sandbox

LIMITS = LimitSettings(least_s=2.0)


def score(tmp_path: Path, sandbox: "Sandbox", rows: list[dict[str, Any]], **options: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    path = write_rows(tmp_path / "attempts.jsonl", rows)
    summary = score_file(path, benchmark(), tmp_path / "out", sandbox, limits=LIMITS, **options)
    return summary["benchmarks"][0], read_rows(tmp_path / "out/verdicts.jsonl")


def test_each_kind_of_check_passes_right_and_fails_wrong_programs(tmp_path: Path, sandbox: "Sandbox") -> None:
    rows = [{"task_id": name, "solution": code} for codes in (RIGHT, WRONG) for name, code in codes.items()]
    entry, verdicts = score(tmp_path, sandbox, rows)
    assert [(row["task_id"], row["sample"], row["verdict"]) for row in verdicts] == [
        *((name, 0, "pass") for name in RIGHT),
        *((name, 1, "fail") for name in WRONG),
    ]
    assert entry["pass@1"] == pytest.approx(0.5)
    assert all(row["sandbox"] == "bwrap" and row["limits"]["cpu_s"] >= 2 and row["cpu_s"] >= 0 for row in verdicts)


def test_generations_completions_and_outcomes_without_an_answer(tmp_path: Path, sandbox: "Sandbox") -> None:
    rows = [
        {"task_id": "double", "generation": f"<think>\nhm\n</think>\n\n{answer(RIGHT['double'])}"},
        {"task_id": "double", "completion": "    return 2 * x\n"},
        {"task_id": "double", "generation": f"<think>\n{answer(RIGHT['double'])}\n", "stopped_by": "length"},
        {"task_id": "double", "generation": "It is two times x."},
        {"task_id": "double", "generation": f"{answer(WRONG['double'])}\n{answer(RIGHT['double'])}"},
        {"task_id": "double", "solution": "   \n"},
    ]
    entry, verdicts = score(tmp_path, sandbox, rows)
    assert [row["verdict"] for row in verdicts] == ["pass", "pass", "no-answer", "no-answer", "pass", "no-answer"]
    assert verdicts[2]["detail"] == "the token budget ran out while the model was thinking"
    assert entry["verdicts"] == {"no-answer": 3, "pass": 3}
    assert entry["pass@1"] == 0.5, "no answer counts as wrong"
    assert entry["pass@5"] == 1.0
    _, verdicts = score(tmp_path, sandbox, rows, extract="first")
    assert verdicts[4]["verdict"] == "fail"
    assert [row.get("extraction") for row in verdicts] == ["asap", None, "asap", "asap", "asap", None]
    entry, verdicts = score(tmp_path, sandbox, rows, extract="livecodebench")
    assert [row.get("extraction") for row in verdicts] == ["livecodebench", None, *["livecodebench"] * 3, None]
    assert entry["extraction"] == ["livecodebench"]
    assert "by LiveCodeBench's rule" in (tmp_path / "out/summary.md").read_text("utf-8")


def test_the_same_command_again_runs_nothing_and_says_the_same(tmp_path: Path, sandbox: "Sandbox") -> None:
    rows = [{"task_id": name, "solution": code} for name, code in RIGHT.items()]
    first = score(tmp_path, sandbox, rows)

    class NotToBeAsked:
        kind, identity, packages = sandbox.kind, sandbox.identity, sandbox.packages

    assert score(tmp_path, NotToBeAsked(), rows) == first  # type: ignore[arg-type]
    more = [*rows, {"task_id": "echo", "solution": WRONG["echo"]}]
    again = score(tmp_path, sandbox, more)
    assert again[1][:3] == first[1]


def test_rows_that_answer_nothing_are_kept_with_their_reason(tmp_path: Path, sandbox: "Sandbox") -> None:
    rows = [{"task_id": "double", "solution": RIGHT["double"]}, {"task_id": "other", "solution": "x"}]
    entry, verdicts = score(tmp_path, sandbox, rows)
    assert (entry["rejected"], entry["attempted"], entry["problems"], len(verdicts)) == (1, 1, 3, 1)
    [rejected] = read_rows(tmp_path / "out/rejected.jsonl")
    assert (rejected["reason"], rejected["line"], rejected["id"]) == ("unknown_task", 2, "other")


def test_a_file_without_one_usable_row_is_an_error(tmp_path: Path, sandbox: "Sandbox") -> None:
    with pytest.raises(InputError, match="none of its 1 rows is an attempt at small; the first is: line 1, task_id 'z'"):
        score(tmp_path, sandbox, [{"task_id": "z", "solution": "x"}])


def test_a_completion_of_what_has_no_beginning_is_an_error(tmp_path: Path, sandbox: "Sandbox") -> None:
    with pytest.raises(UsageError, match="echo has no prompt"):
        score(tmp_path, sandbox, [{"task_id": "echo", "completion": "x"}])


def judged(tmp_path: Path, sandbox: "Sandbox", problem: Problem, *programs: str) -> list[str]:
    with Ledger.open(tmp_path / "out") as ledger:
        attempts = [Attempt(problem.task_id, number, "solution", program) for number, program in enumerate(programs)]
        records = verdicts_of(Judge(sandbox, ledger, LIMITS, 2), benchmark(problem), attempts, "last")
    return [record["verdict"] for record in records]


def test_expected_outputs_come_from_the_reference_with_their_types(tmp_path: Path, sandbox: "Sandbox") -> None:
    values = "[(1, 2), {3}, {(4,): 'x'}, 5j, b'6', 2**70, float('inf'), None, [True]]"
    check = Calls("f", [[number] for number in range(9)], (), lambda arguments, output, expected: repr(output) == repr(expected))
    program = f"def f(x):\n    return {values}[x]\n"
    problem = Problem("f", "?", None, check, [program])
    assert judged(tmp_path, sandbox, problem, program, "def f(x):\n    return [1, 2]\n") == ["pass", "fail"]


def test_limits_follow_the_reference_and_are_kept(tmp_path: Path, sandbox: "Sandbox", capsys: pytest.CaptureFixture[str]) -> None:
    slow = replace(DOUBLE, references=["total = sum(range(12_000_000))\n" + RIGHT["double"]])
    prepared = References(sandbox, LIMITS, tmp_path).prepare(slow)
    assert prepared.reference_cpu_s is not None
    assert prepared.limits.cpu_s == pytest.approx(max(2.0, 10 * prepared.reference_cpu_s))

    class NotToBeAsked:
        kind, identity = sandbox.kind, sandbox.identity

    assert References(NotToBeAsked(), LIMITS, tmp_path).prepare(slow) == prepared  # type: ignore[arg-type]
    (tmp_path / "references.sqlite").write_bytes(b"damaged" * 1000)
    capsys.readouterr()
    again = References(sandbox, LIMITS, tmp_path)
    assert again.prepare(slow).fault is again.prepare(slow).fault is None
    noted = capsys.readouterr().err.splitlines()
    assert len(noted) == 1
    assert noted[0].startswith(f"note: {tmp_path / 'references.sqlite'} is damaged (file is not a database); move it away to start over;")
    assert (tmp_path / "references.sqlite").read_bytes() == b"damaged" * 1000


def test_verdicts_are_found_without_a_cache_and_beside_a_damaged_one(
    tmp_path: Path, sandbox: "Sandbox", monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = References(sandbox, LIMITS, tmp_path).prepare(DOUBLE)
    with Database.open(tmp_path / "references.sqlite", shared=True) as database:
        kept = Contents(database, "runs")
        for [key] in database.execute("SELECT key FROM runs"):
            kept.replace(key, [7])
    assert References(sandbox, LIMITS, tmp_path).prepare(DOUBLE).fault is whole.fault is None
    for name in ("ASAP_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_242_424)  # nobody
    assert References(sandbox, LIMITS).prepare(DOUBLE).fault is None


@pytest.mark.parametrize(("program", "slack_s", "again"), [("import time\ntime.sleep(100)\n", 0.2, 1), ("while True: pass\n", 60.0, 0)])
def test_only_a_program_that_ran_out_of_wall_time_is_judged_again_alone(
    program: str, slack_s: float, again: int, tmp_path: Path, sandbox: "Sandbox"
) -> None:
    told = list[str]()
    with Ledger.open(tmp_path / "out") as ledger:
        limits = LimitSettings(least_s=0.2, slack_s=slack_s)
        judge = Judge(sandbox, ledger, limits, 2, lambda what, done, total: told.append(what))
        [record] = verdicts_of(judge, benchmark(), [Attempt("echo", 0, "solution", program)], "last")
    assert (record["verdict"], record["retried"]) == ("timeout", bool(again))
    assert told.count("judged again, alone") == again


def test_the_summary_is_json_and_markdown(tmp_path: Path, sandbox: "Sandbox") -> None:
    score(tmp_path, sandbox, [{"task_id": "double", "solution": RIGHT["double"]}])
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["settings"]["extract"] == "benchmark"
    text = (tmp_path / "out/summary.md").read_text()
    assert "| small | 1 | 1.0000 | 0.2065–1.0000 | pass 1 |" in text
