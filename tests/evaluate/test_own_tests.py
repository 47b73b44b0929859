"""Training rows with their own tests, in the columns and forms of published data sets: what is right passes, what is wrong fails."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from evaluate_helpers import read_rows, write_rows

from asap.benchmarks.load import load_benchmark
from asap.evaluate.reference import LimitSettings
from asap.evaluate.score import score_file

if TYPE_CHECKING:
    from asap.sandbox import Sandbox

HALVE, WRONGLY = "def halve(n):\n    return n // 2\n", "def halve(n):\n    return n - n // 3\n"
IN_CLASS, WRONGLY_IN_CLASS = (f"class Solution:\n    def halve(self, n):\n        return {text}\n" for text in ("n // 2", "n"))
PROGRAM, WRONG_PROGRAM = "print(int(input()) // 2)\n", "print(int(input()))\n"
PYTEST = "from solution import halve\n\n\ndef test_even():\n    assert halve(8) == 4\n\n\ndef test_odd():\n    assert halve(9) == 4\n"
ASSERTS = ["assert halve(8) == 4", "assert halve(9) == 4"]
STDIN = [{"input": "8\n", "output": "4\n"}, {"input": "9\n", "output": "4\n"}]
LISTS = {"inputs": ["8\n", "9\n"], "outputs": ["4\n", "4\n"]}
CALLS = {"fn_name": "halve", "inputs": [[8], [9]], "outputs": [[4], [4]]}
FENCED = f"Halve it:\n\n```python\n{HALVE}```"


def typed(kind: str, given: Any, wanted: Any, **more: Any) -> str:
    return json.dumps([{"type": kind, "input": given(n), "output": wanted(n // 2), **more} for n in (8, 9)])


ROWS: dict[str, tuple[dict[str, Any], str, str]] = {
    "kodcode": ({"question_id": "k", "question": "?", "solution": HALVE, "test": PYTEST}, HALVE, WRONGLY),
    "test code": ({"id": "k", "question": "?", "test_code": PYTEST}, HALVE, WRONGLY),
    "tests that import nothing": ({"id": "k", "test": PYTEST.removeprefix("from solution import halve\n")}, HALVE, WRONGLY),
    "unittest": (
        {
            "id": 1,
            "tests": "import unittest\n\nclass Halves(unittest.TestCase):\n    def test_it(self):\n        self.assertEqual(halve(9), 4)\n",
        },
        HALVE,
        WRONGLY,
    ),
    "one text of asserts": ({"id": 1, "test_code": "\n".join(ASSERTS)}, HALVE, WRONGLY),
    "mbpp": (
        {"task_id": 7, "text": "?", "code": HALVE, "test_list": ASSERTS, "test_setup_code": "", "challenge_test_list": []},
        HALVE,
        WRONGLY,
    ),
    "mbpp, sanitized": (
        {"task_id": 7, "prompt": "?", "code": HALVE, "test_imports": ["import math"], "test_list": ["assert math.isclose(halve(8), 4)"]},
        HALVE,
        WRONGLY,
    ),
    "asserts that use a module": ({"task_id": 7, "test_list": ["assert math.floor(halve(9)) == 4"]}, f"import math\n{HALVE}", WRONGLY),
    "asserts with a set-up": (
        {"task_id": 7, "test_list": ["assert node.value == 4"], "test_setup_code": "node = Node(9)"},
        "class Node:\n    def __init__(self, n):\n        self.value = n // 2\n",
        "class Node:\n    def __init__(self, n):\n        self.value = n\n",
    ),
    "asserts about a builtin's name": (
        {"task_id": 7, "code": "def sum(a, b):\n    return a + b\n", "test_list": ["assert sum(1, 2) == 3"]},
        "def sum(a, b):\n    return b + a\n",
        "def sum(a, b):\n    return a\n",
    ),
    "asserts about a function with a test's name": (
        {"task_id": 7, "code": "def test_half(n):\n    return n // 2\n", "test_list": ["assert test_half(9) == 4"]},
        "def test_half(n):\n    return n // 2\n",
        "def test_half(n):\n    return n\n",
    ),
    "asserts over several lines": (
        {"task_id": 7, "test_list": ['assert lines("""a\n    b""") == [\n    "a", "    b"\n]']},
        "def lines(text):\n    return text.split('\\n')\n",
        "def lines(text):\n    return text.split()\n",
    ),
    "asserts as JSON": ({"id": 2.0, "test_cases": json.dumps(ASSERTS)}, HALVE, WRONGLY),
    "codeforces": (
        {"id": "1/A", "question": "?", "official_tests": STDIN, "input_mode": "stdio", "time_limit": 1.0},
        PROGRAM,
        WRONG_PROGRAM,
    ),
    "codeforces, examples": ({"id": "1/A", "description": "?", "examples": STDIN, "official_tests": []}, PROGRAM, WRONG_PROGRAM),
    "taco, programs": (
        {"id": "t", "question": "?", "input_output": json.dumps(LISTS), "solutions": json.dumps(["print input()", PROGRAM])},
        PROGRAM,
        WRONG_PROGRAM,
    ),
    "taco, a function": ({"id": "t", "question": "?", "input_output": json.dumps(CALLS), "solutions": [HALVE]}, HALVE, WRONGLY),
    "a method": (
        {
            "problem_id": 3,
            "input_output": json.dumps(CALLS),
            "starter_code": "class Solution:\n    def halve(self, n: int) -> int:\n        ",
        },
        IN_CLASS,
        WRONGLY_IN_CLASS,
    ),
    "a method by the reference": (
        {"problem_id": 3, "input_output": {**CALLS, "outputs": [4, 4]}, "solution": IN_CLASS},
        IN_CLASS,
        WRONGLY_IN_CLASS,
    ),
    "lines in lists": ({"id": "t", "input_output": {"inputs": [["8"], ["9"]], "outputs": [["4"], ["4"]]}}, PROGRAM, WRONG_PROGRAM),
    "code contests": (
        {
            "name": "1_A. Halves",
            "description": "?",
            "public_tests": {"input": ["8\n"], "output": ["4\n"]},
            "private_tests": {"input": ["9\n"], "output": ["4\n"]},
            "generated_tests": {"input": [], "output": []},
            "solutions": {"language": [2, 1, 3], "solution": ["int main() {}", "print input()", PROGRAM]},
        },
        PROGRAM,
        WRONG_PROGRAM,
    ),
    "synthetic-1": (
        {
            "problem_id": "p",
            "prompt": "?",
            "gold_standard_solution": f"```python\n{PROGRAM}```",
            "verification_info": json.dumps({"language": "python", "test_cases": [{"type": "stdin_stdout", **case} for case in STDIN]}),
        },
        PROGRAM,
        WRONG_PROGRAM,
    ),
    "verl": (
        {"id": "v", "reward_model": {"style": "rule", "ground_truth": json.dumps(LISTS)}, "solution": PROGRAM},
        PROGRAM,
        WRONG_PROGRAM,
    ),
    "expected outputs": ({"id": "e", "test_cases": [{"input": "9", "expected_output": "4"}]}, PROGRAM, WRONG_PROGRAM),
    "arguments of each case": ({"id": "e", "fn_name": "halve", "test_cases": [{"inputs": [9], "output": 4}]}, HALVE, WRONGLY),
    "typed functions": ({"id": "d", "tests": typed("function_call", lambda n: [n], lambda n: [n], fn_name="halve")}, HALVE, WRONGLY),
    "functions in livecodebench's form": (
        {"id": "d", "tests": typed("functional", str, str, metadata={"func_name": "halve"}), "solutions": [HALVE]},
        HALVE,
        WRONGLY,
    ),
    "livecodebench": (
        {
            "question_id": "q",
            "question_content": "?",
            "starter_code": "class Solution:\n    def halve(self, n: int) -> int:\n        ",
            "public_test_cases": json.dumps([{"input": "9", "output": "4", "testtype": "functional"}]),
            "metadata": json.dumps({"func_name": "halve"}),
        },
        IN_CLASS,
        WRONGLY_IN_CLASS,
    ),
    "humaneval": (
        {
            "task_id": "h/1",
            "prompt": 'def halve(n):\n    """Half of it."""\n',
            "entry_point": "halve",
            "canonical_solution": "    return n // 2\n",
            "test": "def check(candidate):\n    assert candidate(9) == 4\n",
        },
        HALVE,
        WRONGLY,
    ),
    "leetcode": (
        {
            "task_id": "halves",
            "prompt": "import math\n",
            "problem_description": "?",
            "starter_code": "class Solution:\n    def halve(self, n: int) -> int:\n        ",
            "entry_point": "Solution().halve",
            "completion": IN_CLASS,
            "test": "def check(candidate):\n    assert candidate(n=9) == 4\n",
        },
        IN_CLASS,
        WRONGLY_IN_CLASS,
    ),
    "a fenced reference": ({"id": "f", "solution": FENCED, "test_list": ASSERTS}, HALVE, WRONGLY),
    "a reference in prose": ({"id": "f", "solution": "Divide it by two, rounded down.", "test_list": ASSERTS}, HALVE, WRONGLY),
}


def score(tmp_path: Path, sandbox: "Sandbox", row: dict[str, Any], *programs: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    benchmark = load_benchmark(f"traces:{write_rows(tmp_path / 'rows.jsonl', [row])}")
    attempts = [{"task_id": benchmark.problems[0].task_id, "solution": program} for program in programs]
    path = write_rows(tmp_path / "attempts.jsonl", attempts)
    summary = score_file(path, benchmark, tmp_path / "out", sandbox, limits=LimitSettings(least_s=2.0))
    return summary["benchmarks"][0], read_rows(tmp_path / "out/verdicts.jsonl")


@pytest.mark.parametrize("name", ROWS)
def test_each_form(name: str, tmp_path: Path, sandbox: "Sandbox") -> None:
    row, right, wrong = ROWS[name]
    _, found = score(tmp_path, sandbox, row, right, wrong)
    assert [verdict["verdict"] for verdict in found] == ["pass", "fail"], [verdict["detail"] for verdict in found]


@pytest.mark.parametrize(
    ("columns", "wrong"),
    [
        ({"solution": WRONGLY, "test": PYTEST}, HALVE),
        ({"code": WRONGLY, "test_list": ASSERTS}, HALVE),
        ({"solutions": json.dumps([WRONGLY]), "input_output": json.dumps(CALLS)}, HALVE),
        ({"gold_standard_solution": WRONG_PROGRAM, "official_tests": STDIN}, PROGRAM),
    ],
)
def test_a_row_whose_reference_fails_is_left_out(columns: dict[str, Any], wrong: str, tmp_path: Path, sandbox: "Sandbox") -> None:
    entry, [verdict] = score(tmp_path, sandbox, {"id": "x", "question": "?", **columns}, wrong)
    assert (verdict["verdict"], verdict["left_out"], entry["scored"]) == ("infra", "reference", 0)


def test_a_value_in_a_list_around_it_or_a_tuple_for_a_list_is_right(tmp_path: Path, sandbox: "Sandbox") -> None:
    tests = {"fn_name": "pair", "inputs": [[1], [2]], "outputs": [[[1, 1]], [[2, 2]]]}
    _, found = score(
        tmp_path, sandbox, {"id": "x", "input_output": tests}, *(f"def pair(n):\n    return {text}\n" for text in ("(n, n)", "[n, n]", "n"))
    )
    assert [verdict["verdict"] for verdict in found] == ["pass", "pass", "fail"]
