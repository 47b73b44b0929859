"""Training rows with their own tests: a pytest file (`test_file`, as in KodCode) or assert statements (`test_list`, as in MBPP)."""

import re
import textwrap
from pathlib import Path

from asap.benchmarks.files import FileRow, data_file, rows_of
from asap.benchmarks.problem import Problem, Program
from asap.benchmarks.wording import worded
from asap.digest import content_digest
from asap.errors import InputError

_FILE = "traces/kodcode_r1.jsonl.gz"


def traces_file() -> Path:
    """KodCode's traces under $ASAP_DATA. Raises InputError."""
    found = data_file([_FILE])
    if found is None:
        raise InputError(f"name the rows to take tests from, as in traces:rows.jsonl, or put {_FILE} under the folder that ASAP_DATA names")
    return found


def traces(path: Path) -> list[Problem]:
    """A problem for each row, under the row's id (or one derived from its content). Raises InputError."""
    return [_problem(row) for row in rows_of(path)]


def _problem(row: FileRow) -> Problem:
    question, source = row.text("question"), _tests(row)
    given, names = row.value.get("id"), _imported(source)
    return Problem(
        task_id=str(given) if isinstance(given, (str, int)) else content_digest(question, source)[:16],
        question=worded("trace_named", question=question.strip(), names=names) if names else worded("trace", question=question.strip()),
        prompt=None,
        check=Program(source, None, None),
        references=[solution] if (solution := row.text("reference_solution", "")).strip() else [],
    )


def _imported(source: str) -> str:
    """The names that the tests import from the solution: the question may omit them, but no answer could pass without them."""
    found = re.findall(r"^from solution import (?:\(([^)]*)\)|([^\n(*#]+))", source, re.MULTILINE)
    names = [name.strip() for group in found for name in ",".join(group).split(",")]
    return ", ".join(dict.fromkeys(name for name in names if name.isidentifier()))


def _tests(row: FileRow) -> str:
    if "test_file" in row.value:
        return row.text("test_file")
    if "test_list" not in row.value:
        raise InputError(f"{row.place}: the row brings no tests; a pytest file in test_file or assert statements in test_list are expected")
    asserts = row.list("test_list")
    if not asserts or not all(isinstance(line, str) for line in asserts):
        raise InputError(f"{row.place}: test_list is empty or holds something else than texts; assert statements are expected")
    body = textwrap.indent("\n".join(asserts), "    ")
    return f"from solution import *\n{row.text('test_setup_code', '')}\n\ndef test_all():\n{body}\n"
