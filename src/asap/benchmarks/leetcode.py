"""LeetCodeDataset (v0.3.1, test), and the user's problems in its format: a class to write and a test with `check(candidate)`."""

from pathlib import Path

from asap.benchmarks.files import FileRow, data_file, hub_file, rows_of
from asap.benchmarks.problem import Problem, Program
from asap.benchmarks.wording import worded

_FILE = "benchmarks/leetcodedataset/LeetCodeDataset-v0.3.1-test.jsonl.gz"
_HUB = ("newfacade/LeetCodeDataset", "LeetCodeDataset-test.jsonl")
_MADE = "()."  # `Solution().twoSum`: a method of an object constructed without arguments


def leetcode_file() -> Path:
    """The official file, from $ASAP_DATA or the Hub. Raises InputError or MissingExtra."""
    return data_file([_FILE]) or hub_file(*_HUB)


def leetcode(path: Path) -> list[Problem]:
    """The problems of a file in LeetCodeDataset's format. Raises InputError."""
    return [leetcode_problem(row) for row in rows_of(path)]


def leetcode_problem(row: FileRow) -> Problem:
    """The problem of a row. `prompt` has imports and node classes for both tests and solutions; the question is the data set's `query`."""
    return Problem(
        task_id=row.text("task_id"),
        question=_question(row),
        prompt="",
        check=Program(row.text("test"), row.text("entry_point").replace(_MADE, "."), "check", row.text("prompt")),
        references=[solution] if (solution := row.text("completion", "")).strip() else [],
    )


def _question(row: FileRow) -> str:
    if "query" in row.value:
        return worded("query", query=row.text("query"))
    return worded("call", statement=row.text("problem_description").strip(), starter=row.text("starter_code").rstrip())
