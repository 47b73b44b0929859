"""HumanEval+ and MBPP+ (EvalPlus): thousands of inputs, and a reference solution whose outputs are the expected ones.

The files contain no expected outputs; the sandbox computes them with the reference, and they are kept (`evaluate.reference`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asap.benchmarks.files import FileRow, data_file, rows_of
from asap.benchmarks.humaneval import preamble
from asap.benchmarks.mbpp import LEFT_OUT, mbpp_arguments, mbpp_equal
from asap.benchmarks.problem import Calls, Problem
from asap.benchmarks.values import Equal, close, is_floats, never_raising
from asap.benchmarks.wording import worded
from asap.errors import InputError

HUMANEVAL_PROBLEMS = 164
MBPP_PROBLEMS = 378
_HUMANEVAL_FILE = "benchmarks/humanevalplus/HumanEvalPlus-v0.1.10.jsonl.gz"
_MBPP_FILE = "benchmarks/mbpp/MbppPlus-v0.2.0.jsonl.gz"
_RELEASES = "https://github.com/evalplus"


def humaneval_plus_file() -> Path:
    """The official file of HumanEval+ v0.1.10. Raises InputError."""
    return _found(_HUMANEVAL_FILE, "HumanEval+", "humanevalplus_release")


def mbpp_plus_file() -> Path:
    """The official file of MBPP+ v0.2.0. Raises InputError."""
    return _found(_MBPP_FILE, "MBPP+", "mbppplus_release")


def _found(name: str, benchmark: str, releases: str) -> Path:
    found = data_file([name])
    if found is None:
        raise InputError(
            f"{benchmark} is not here; get {Path(name).name} from {_RELEASES}/{releases}/releases and put it at {name} "
            "under the folder that ASAP_DATA names"
        )
    return found


def humaneval_plus(path: Path) -> list[Problem]:
    """The problems of HumanEval+. Raises InputError."""
    return [_humaneval_problem(row) for row in rows_of(path)]


def mbpp_plus(path: Path) -> list[Problem]:
    """The problems of MBPP+. Raises InputError."""
    return [_mbpp_problem(row) for row in rows_of(path)]


def _humaneval_problem(row: FileRow) -> Problem:
    prompt, entry_point = row.text("prompt"), row.text("entry_point")
    inputs = row.list("base_input") + row.list("plus_input")
    return Problem(
        task_id=row.text("task_id"),
        question=worded("complete", code=prompt.strip("\n")),
        prompt=prompt,
        check=Calls(entry_point, inputs, (), _is_root(_atol(row)) if entry_point == "find_zero" else _equal(_atol(row))),
        references=[prompt + row.text("canonical_solution")],
        header=preamble(prompt, entry_point),
    )


def _mbpp_problem(row: FileRow) -> Problem:
    task_id, entry_point, prompt = row.text("task_id"), row.text("entry_point"), row.text("prompt")
    more = row.list("plus_input") if row.value.get("plus_input") != {} else []  # what the official file has for none
    given = [arguments for at, arguments in enumerate(row.list("base_input") + more) if at not in LEFT_OUT.get(task_id, ())]
    return Problem(
        task_id=task_id,
        question=worded("task", task=prompt.strip().strip('"').strip(), entry_point=entry_point),
        prompt=prompt,
        check=Calls(
            entry_point,
            [mbpp_arguments(task_id, arguments) for arguments in given],
            (),
            never_raising(mbpp_equal(entry_point, _atol(row), _equal(_atol(row)))),
        ),
        references=[prompt + row.text("canonical_solution")],
    )


def _atol(row: FileRow) -> float:
    value = row.value.get("atol")
    if not isinstance(value, (int, float)):
        raise InputError(f"{row.place}: atol is {type(value).__name__}; a number is expected")
    return float(value)


def _equal(atol: float) -> Equal:
    """Equality, or closeness if the problem has a tolerance or expects a float: within atol + 1e-7 of the expected size."""

    def equal(_: Sequence[Any], output: Any, expected: Any) -> bool:
        if output == expected:
            return True
        tolerance = 1e-6 if atol == 0 and is_floats(expected) else atol
        return tolerance != 0 and type(output) is type(expected) and close(output, expected, tolerance)

    return never_raising(equal)


def _is_root(atol: float) -> Equal:
    """HumanEval/32: any root of the polynomial is right, so the polynomial's value at the output decides."""

    def equal(arguments: Sequence[Any], output: Any, _: Any) -> bool:
        [coefficients] = arguments
        return bool(abs(sum(factor * output**power for power, factor in enumerate(coefficients))) <= atol)

    return never_raising(equal)
