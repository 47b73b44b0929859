# ruff: noqa: E501
"""Rows with the columns of published data sets, in our own wording: a right and a wrong solution of each, judged in the sandbox."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from evaluate_helpers import read_rows, write_rows

from asap.benchmarks.load import load_benchmark
from asap.benchmarks.problem import Stdin
from asap.cli import run
from asap.errors import InputError, UsageError
from asap.evaluate.reference import LimitSettings
from asap.evaluate.score import score_file

if TYPE_CHECKING:
    from asap.sandbox import Sandbox

text = json.dumps
PROGRAM, WRONG_PROGRAM = "print(int(input()) + 1)\n", "print(int(input()) - 1)\n"
FUNCTION, WRONG_FUNCTION = "def inc(x):\n    return x + 1\n", "def inc(x):\n    return x\n"
METHOD, WRONG_METHOD = (f"class Solution:\n    def inc(self, x):\n        return {result}\n" for result in ("x + 1", "x"))
STARTER = "class Solution:\n    def inc(self, x: int) -> int:\n        "
TEST_FILE = "from solution import inc\n\ndef test_one():\n    assert inc(1) == 2\n"
CASES = [{"input": "1\n", "output": "2\n"}, {"input": "5\n", "output": "6\n"}]
PAIRS = {"inputs": ["1\n", "5\n"], "outputs": ["2\n", "6\n"]}
LISTS = {"input": ["1\n", "5\n"], "output": ["2\n", "6\n"]}
NONE: dict[str, list[str]] = {"input": [], "output": []}
HUGE = 10**5000

PROGRAMS: dict[str, dict[str, Any]] = {
    "apps": {"problem_id": 1, "question": "Add one.", "solutions": text([PROGRAM]), "input_output": text(PAIRS), "difficulty": "interview", "starter_code": ""},
    "apps, lines in lists": {"problem_id": 2, "question": "Add one.", "solutions": "", "input_output": text({"inputs": [["1"], ["5"]], "outputs": [["2"], ["6"]]})},
    "taco": {"question": "Add one.", "starter_code": None, "input_output": text(PAIRS), "name": None, "source": "own", "time_limit": None, "solutions": text([PROGRAM])},
    "code_contests": {"name": "1_A. One more", "description": "Add one.", "public_tests": {"input": ["1\n"], "output": ["2\n"]}, "private_tests": NONE, "generated_tests": {"input": ["5\n"], "output": ["6\n"]}, "source": 2, "solutions": {"language": [1, 3], "solution": ["print 1", PROGRAM]}, "incorrect_solutions": {"language": [3], "solution": [WRONG_PROGRAM]}, "time_limit": {"seconds": 2, "nanos": 0}, "input_file": "", "output_file": ""},
    "codeforces": {"id": "1/A", "description": "Add one.", "input_format": "n", "interaction_format": None, "examples": CASES[:1], "official_tests": CASES, "official_tests_complete": True, "input_mode": "stdio", "generated_checker": None, "generated_tests": 0},
    "codeforces, in part": {"id": "1/B", "description": "Add one.", "examples": CASES[:1], "official_tests": CASES, "official_tests_complete": False, "input_mode": "stdio", "generated_tests": 12},
    "codeforces, examples": {"id": "1/C", "description": "Add one.", "examples": CASES, "official_tests": [], "official_tests_complete": False, "input_mode": "stdio", "generated_tests": 12},
    "verification_info": {"problem_id": "v_1", "prompt": "Add one.", "gold_standard_solution": f"```python\n{PROGRAM}```", "verification_info": text({"language": "python", "test_cases": [{"fn_name": None, "type": "stdin_stdout", **case} for case in CASES]}), "metadata": text({"difficulty": "EASY"})},
    "verification_info, as Python writes it": {"problem_id": "v_2", "prompt": "Add one.", "verification_info": str({"language": "python", "test_cases": [{"fn_name": None, "type": "stdin_stdout", **case} for case in CASES]})},
    "verification_info, text in an object": {"problem_id": "v_3", "prompt": "Add one.", "verification_info": {"language": "python", "test_cases": text([{"type": "stdin_stdout", **case} for case in CASES])}},
    "verification_info, tests": {"problem_id": "v_4", "prompt": "Add one.", "verification_info": text({"tests": text(PAIRS)})},
    "deepcoder": {"problem": "Add one.", "solutions": [f"```python\n{PROGRAM}```"], "tests": text([{"fn_name": None, "type": "stdin_stdout", **case} for case in CASES])},
    "deepcoder, livecodebench": {"problem": "Add one!", "starter_code": "", "metadata": {"func_name": None}, "tests": text([{"testtype": "stdin", **case} for case in CASES])},
    "eurus": {"data_source": "taco", "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Add one."}], "ability": "code", "reward_model": {"ground_truth": text(PAIRS), "style": "rule"}, "extra_info": {"index": 3}},
    "openthoughts": {"problem": "Add one.", "ground_truth_solution": PROGRAM, "domain": "code", "source": "taco", "test_cases": text(PAIRS), "starter_code": None},
    "two columns": {"question_id": "r_1", "question": "Add one.", "starter_code": "", "inputs": text(PAIRS["inputs"]), "outputs": text(PAIRS["outputs"]), "func_name": None},
    "an object of lists": {"id": "o_1", "question": "Add one.", "test": text(LISTS)},
    "one's own": {"task_id": "mine", "question": "Add one.", "tests": CASES, "solution": PROGRAM},
}  # fmt: skip
FUNCTIONS: dict[str, dict[str, Any]] = {
    "kodcode": {"style": "instruct", "question_id": "k_1", "question": "Write inc.", "solution": FUNCTION, "test": TEST_FILE, "test_info": [{"function_name": "inc"}]},
    "test_code": {"question_id": "k_2", "question": "Write inc.", "test_code": TEST_FILE},
    "mbpp": {"task_id": 11, "text": "Write inc.", "code": FUNCTION.replace("\n", "\r\n"), "test_list": ["assert inc(1) == 2"], "test_setup_code": "", "challenge_test_list": ["assert inc(1) == 99"]},
    "mbpp, setup": {"task_id": 12, "text": "Write inc.", "code": FUNCTION, "test_list": ["assert inc(n) == 2"], "test_setup_code": "n = 1", "challenge_test_list": []},
    "mbpp, sanitized": {"source_file": "own", "task_id": 13, "prompt": "Write inc.", "code": FUNCTION, "test_imports": ["import math"], "test_list": ["assert math.isclose(inc(1), 2)"]},
    "mbppplus": {"task_id": 14, "prompt": "Write inc.", "code": FUNCTION, "test_imports": [], "test_list": ["assert inc(1) == 2"], "test": "import numpy as np\n\ndef equal(one, other):\n    assert one == other, f'{one} {other}'\n\ngiven = [[1], [5]]\nwanted = [2, 6]\nfor one, other in zip(given, wanted):\n    equal(inc(*one), other)\n"},
    "acecode": {"id": "a_1", "question": "Write inc.", "test_cases": ["assert inc(1) == 2", "assert inc(5) == 6"], "inferences": []},
    "tests": {"id": "a_2", "question": "Write inc.", "tests": ["assert inc(1) == 2"]},
    "test_list, as Python writes it": {"id": "a_3", "question": "Write inc.", "test_list": "['assert inc(1) == 2', \"assert inc(5) == 6\"]"},
    "opencodeinstruct": {"id": "i_1", "input": "Write inc.", "output": FUNCTION, "unit_tests": text(["\nassert inc(1) == 2\n", "\nassert inc(5) == 6\n"])},
    "bigcodebench": {"task_id": "Own/0", "complete_prompt": 'import math\ndef inc(x):\n    """One more."""\n', "instruct_prompt": "Write inc.", "canonical_solution": "    return x + 1\n", "code_prompt": "import math\ndef inc(x):\n", "test": "import unittest\nclass TestCases(unittest.TestCase):\n    def test_one(self):\n        self.assertEqual(inc(1), 2)\n", "entry_point": "inc", "libs": "['math']"},
    "multipl-e": {"name": "Own_0_inc", "language": "py", "prompt": 'def inc(x):\n    """One more."""\n', "tests": "def check(candidate):\n    assert candidate(1) == 2\n\ndef test_check():\n    check(inc)\n\ntest_check()\n"},
    "humaneval": {"task_id": "Own/1", "prompt": 'def inc(x):\n    """One more."""\n', "canonical_solution": "    return x + 1\n", "entry_point": "inc", "test": "def check(candidate):\n    assert candidate(1) == 2\n"},
    "ground truth of asserts": {"prompt": [{"role": "user", "content": "Write inc."}], "reward_model": {"ground_truth": text(["assert inc(1) == 2"]), "style": "rule"}},
    "apps, calls": {"problem_id": 21, "question": "Write inc.", "solutions": text([FUNCTION]), "input_output": text({"fn_name": "inc", "inputs": [[1], [5]], "outputs": [2, 6]}), "starter_code": "def inc(x):\n\t"},
    "apps, calls of large numbers": {"problem_id": 22, "question": "Write inc.", "solutions": text([FUNCTION]), "input_output": f'{{"fn_name": "inc", "inputs": [[1{"0" * 5000}]], "outputs": [1{"0" * 4999}1]}}'},
    "verification_info, calls": {"problem_id": "v_5", "prompt": "Write inc.", "verification_info": text({"language": "python", "test_cases": [{"fn_name": "inc", "type": "function_call", "input": [1], "output": [2]}]})},
}  # fmt: skip
METHODS: dict[str, dict[str, Any]] = {
    "apps, calls of a class": {"problem_id": 31, "question": "Write inc.", "solutions": text([METHOD]), "input_output": text({"fn_name": "inc", "inputs": [[1], [5]], "outputs": [[2], [6]]}), "starter_code": STARTER},
    "deepcoder, calls": {"problem": "Write inc.", "starter_code": STARTER, "metadata": {"func_name": "inc"}, "tests": text([{"testtype": "functional", "input": "1", "output": "2"}])},
}  # fmt: skip
KINDS = [(PROGRAMS, PROGRAM, WRONG_PROGRAM), (FUNCTIONS, FUNCTION, WRONG_FUNCTION), (METHODS, METHOD, WRONG_METHOD)]
IN_PART = ["codeforces, in part", "codeforces, examples"]


@pytest.mark.parametrize(("rows", "right", "wrong"), KINDS, ids=["programs", "functions", "methods"])
@pytest.mark.parametrize("name", ["traces", "stdin"])
def test_right_solutions_pass_and_wrong_ones_fail(name: str, rows: Any, right: str, wrong: str, tmp_path: Path, sandbox: "Sandbox") -> None:
    path = write_rows(tmp_path / "rows.jsonl", list(rows.values()))
    if name == "stdin" and rows is not PROGRAMS:
        with pytest.raises(InputError, match=r"rows.jsonl, line 1: its tests .* write traces:rows.jsonl"):
            load_benchmark(f"stdin:{path}")
        return
    benchmark = load_benchmark(f"{name}:{path}")
    assert [row for row, problem in zip(rows, benchmark.problems, strict=True) if not problem.question] == []
    assert [row for row, problem in zip(rows, benchmark.problems, strict=True) if problem.public_only] == (
        IN_PART if rows is PROGRAMS else []
    )
    attempts = [{"task_id": problem.task_id, "solution": code} for problem in benchmark.problems for code in (right, wrong)]
    score_file(write_rows(tmp_path / "att.jsonl", attempts), benchmark, tmp_path / "out", sandbox, limits=LimitSettings(least_s=5))
    verdicts = read_rows(tmp_path / "out" / "verdicts.jsonl")
    judged = {name: tuple(row["verdict"] for row in verdicts[2 * at : 2 * at + 2]) for at, name in enumerate(rows)}
    assert judged == dict.fromkeys(rows, ("pass", "fail"))


def test_problems_of_ones_own_with_standard_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = write_rows(tmp_path / "mine.jsonl", [PROGRAMS["one's own"], {**FUNCTIONS["tests"], "task_id": "call"}])
    benchmark = load_benchmark(f"stdin:{rows}")
    mine, call = benchmark.problems
    assert isinstance(mine.check, Stdin)
    assert mine.question.startswith("Solve this programming problem in Python.\n\nAdd one.\n\nWrite a program that reads")
    assert "line 2: its tests call a function or are test code; for such rows, write traces:mine.jsonl" in call.untestable
    attempts = write_rows(
        tmp_path / "att.jsonl", [{"task_id": "mine", "solution": PROGRAM}, {"task_id": "mine", "solution": WRONG_PROGRAM}]
    )
    assert run(["score", str(attempts), "--benchmark", f"stdin:{rows}", "--out", str(tmp_path / "out")]) == 0
    assert "stdin:mine.jsonl: pass@1 0.5000" in capsys.readouterr().out
    with pytest.raises(UsageError, match="stdin needs a file of problems; write stdin:FILE"):
        load_benchmark("stdin")
