"""The tests that a training row brings, in the columns and forms in which data sets publish them.

Read are pytest files (KodCode), assert statements (MBPP, AceCode), and inputs with outputs, of whole programs or of a function
(TACO, APPS, Codeforces, CodeContests, SYNTHETIC-1, DeepCoder). A form is told by its value. What a row's tests need beyond these, such
as a checker, is refused: a right solution could fail without it.

What this does not do: read the rows of HumanEval, LeetCodeDataset and LiveCodeBench, whose own readers know them.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from asap.benchmarks.asserts import asserts_file, pytest_file
from asap.benchmarks.decoding import decoded
from asap.benchmarks.isolation import isolation_of
from asap.benchmarks.problem import Calls, Check, Program, Stdin
from asap.benchmarks.values import same_output, same_value
from asap.dataset.raw import Row
from asap.errors import RowError
from asap.python_code import UNREADABLE

GROUPS = (
    ("test_file",),
    ("test",),
    ("test_code",),
    ("test_list",),
    ("asserts",),
    ("assertions",),
    ("unit_tests",),
    ("unit_test",),
    ("input_output",),
    ("verification_info",),
    ("official_tests",),
    ("public_test_cases", "private_test_cases"),
    ("public_tests", "private_tests", "generated_tests"),
    ("test_cases",),
    ("tests",),
    ("reward_model",),
    ("inputs", "outputs"),
    ("examples",),
)
"""Columns with tests; the first group that holds any counts, all of its columns together."""

_NEEDED = {
    "input_mode": "programs that read standard input",
    "interaction_format": "problems without interaction",
    "generated_checker": "problems with one right output, since no checker is run",
    "checker": "problems with one right output, since no checker is run",
    "input_file": "programs that read standard input",
    "output_file": "programs that write standard output",
}
_USUAL = ("stdio", "stdin", "stdout", "standard input", "standard output")
_STDIN, _CALL = ("stdin", "stdin_stdout", "stdio"), ("functional", "function_call", "call_based", "call")
_INPUTS, _OUTPUTS = ("input", "inputs", "stdin"), ("output", "outputs", "expected_output", "expected_outputs", "expected", "stdout")
_INNER = ("test_cases", "tests", "cases", "ground_truth")
_PUBLIC = ("public_", "examples")
_COLUMNS = "inputs and outputs"
_COUNTS = ("generated_tests",)
"""Columns that in some data sets hold how many tests there are elsewhere."""

_PYTHON = re.compile(r"py(thon|py)?\s*[\d.]*", re.IGNORECASE)


class RowTests(NamedTuple):
    """A check, and whether only a statement's examples or public tests were there to make it from."""

    check: Check
    public_only: bool = False


class _Case(NamedTuple):
    """One input and its output; `function` is what to call with it, None for a program with standard input."""

    place: str
    given: object
    wanted: object
    function: str | None


def tests_of(row: Row, references: Sequence[str]) -> RowTests:
    """The tests of a row. Raises RowError that names column, value and what is allowed."""
    for group in GROUPS:
        columns = {name: value for name in group if (value := decoded(row.get(name))) not in (None, "", [], {})}
        columns = {name: value for name, value in columns.items() if name not in _COUNTS or not isinstance(value, int)}
        if not columns:
            continue
        try:
            found = _tests(row, columns, references)
        except RowError:
            raise
        except UNREADABLE as error:
            why = str(error) or "nested too deeply"
            raise RowError("bad_tests", f"{' and '.join(columns)}: no usable Python ({why})") from error
        if found is not None:
            return found
    names = ", ".join(name for group in GROUPS for name in group)
    raise RowError(
        "no_tests", f"the row brings no tests; a pytest file, assert statements, or inputs and outputs are expected in one of {names}"
    )


def _tests(row: Row, columns: Mapping[str, object], references: Sequence[str]) -> RowTests | None:
    """The check of a group's columns; None if they hold no test."""
    if "inputs" in columns or "outputs" in columns:
        columns = {_COLUMNS: columns}
    told = [_unwrapped(value, name, _function(row)) for name, value in columns.items()]
    place, first, _ = told[0]
    if isinstance(first, str) and (place in columns or "assert" in first):
        return RowTests(_pytest_program(pytest_file(first, references)))
    if isinstance(first, list) and first and isinstance(first[0], str):
        lines = [_text(one, f"{place}[{at}]") for at, one in enumerate(first)]
        return RowTests(_pytest_program(asserts_file(lines, _before(row), references)))
    cases = [case for where, value, function in told for case in _cases(value, where, function)]
    if not cases:
        return None
    functions = {case.function for case in cases}
    if len(functions) > 1:
        raise RowError("bad_tests", f"{' and '.join(columns)}: tests of {len(functions)} functions or kinds; one is expected")
    [function] = functions
    check = _stdin(row, cases) if function is None else _calls(cases, _entry_point(row, function, references))
    _check_outputs(check, " and ".join(columns))
    is_part = "official_tests" in columns and row.get("official_tests_complete") is False
    return RowTests(check, is_part or all(case.place.startswith(_PUBLIC) for case in cases))


def _unwrapped(value: object, place: str, function: str | None) -> tuple[str, object, str | None]:
    """The tests in an object that holds them beside a language, where they stand, and the function that is named beside them."""
    while isinstance(value, Mapping):
        language = value.get("language")
        if isinstance(language, str) and not _PYTHON.fullmatch(language):
            raise RowError("bad_tests", f"{place}.language is {language!r}; python is expected")
        function, inner = _function(value) or function, _first(value, _INNER)
        if inner is None:
            break
        value, place = decoded(value[inner]), f"{place}.{inner}"
    return place, value, function


def _check_outputs(check: Stdin | Calls, place: str) -> None:
    """Raise RowError if the expected outputs are those of a solution that does nothing."""
    empty = all(not text.strip() for text in check.expected) if isinstance(check, Stdin) else all(one is None for one in check.expected)
    if empty:
        raise RowError("bad_tests", f"{place}: every expected output is empty, so a solution that does nothing would pass")


def _pytest_program(source: str) -> Program:
    return Program(source, None, None, isolation=isolation_of(source))


def _before(row: Row) -> str:
    """What goes ahead of assert statements: MBPP's `test_imports` and `test_setup_code`."""
    imports = decoded(row.get("test_imports")) or []
    lines = [imports] if isinstance(imports, str) else imports
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise RowError("bad_tests", f"test_imports is {_shown(imports)}; a list of import statements is expected")
    setup = row.get("test_setup_code") or ""
    return "\n".join([*lines, _text(setup, "test_setup_code")])


def _cases(value: object, place: str, function: str | None) -> Iterator[_Case]:
    """The inputs and outputs in a value: a list of objects, or an object of two lists."""
    if isinstance(value, Mapping):
        given, wanted = (decoded(value[name]) if (name := _first(value, names)) else None for names in (_INPUTS, _OUTPUTS))
        if not isinstance(given, list) or not isinstance(wanted, list) or len(given) != len(wanted):
            raise RowError("bad_tests", f"{place} is {_shown(value)}; inputs and outputs, lists of one length, are expected")
        kind = _kind(value, place, function)
        yield from (_Case(f"{place}[{at}]", one, other, kind) for at, (one, other) in enumerate(zip(given, wanted, strict=True)))
        return
    if not isinstance(value, list):
        raise RowError("bad_tests", f"{place} is {_shown(value)}; test code, or inputs with outputs, are expected")
    for at, case in enumerate(value):
        given, wanted = (_first(case, names) for names in (_INPUTS, _OUTPUTS))
        if not isinstance(case, Mapping) or given is None or wanted is None:
            raise RowError("bad_tests", f"{place}[{at}] is {_shown(case)}; an object with input and output is expected")
        yield _Case(f"{place}[{at}]", case[given], case[wanted], _kind(case, f"{place}[{at}]", _function(case) or function))


def _first(value: object, names: Sequence[str]) -> str | None:
    """The first of these keys that an object has."""
    return next((name for name in names if name in value), None) if isinstance(value, Mapping) else None


def _kind(case: Mapping[str, Any], place: str, function: str | None) -> str | None:
    """The function to call; None for standard input."""
    told = case.get("type") or case.get("testtype")
    if told in _STDIN:
        return None
    if told is not None and told not in _CALL:
        raise RowError("bad_tests", f"{place}: the type is {_shown(told)}; allowed: {', '.join((*_STDIN, *_CALL))}")
    if told is not None and function is None:
        raise RowError("bad_tests", f"{place}: the type is {_shown(told)}, but no fn_name says which function to call")
    return function


def _function(row: Mapping[str, Any]) -> str | None:
    """The function that a row, a column or a test names."""
    metadata = decoded(row.get("metadata"))
    inner = (metadata.get("func_name") or metadata.get("fn_name")) if isinstance(metadata, Mapping) else None
    told = row.get("fn_name") or row.get("func_name") or inner
    return told if isinstance(told, str) else None


def _entry_point(row: Row, function: str, references: Sequence[str]) -> str:
    """`Class.method` if the starter code, or without one the reference, has the function in a class."""
    code = next((text for text in (row.get("starter_code"), *references) if isinstance(text, str) and text.strip()), "")
    made = re.search(
        rf"^class\s+(\w+)[^\n]*:(?:\n(?:[ \t][^\n]*)?)*?\n[ \t]+(?:async\s+)?def\s+{re.escape(function)}\b", code, re.MULTILINE
    )
    return f"{made[1]}.{function}" if made else function


def _stdin(row: Row, cases: Sequence[_Case]) -> Stdin:
    for column, expected in _NEEDED.items():
        if (value := row.get(column)) and str(value).lower() not in _USUAL:
            raise RowError("bad_tests", f"{column} is {_shown(value)}; only {expected} can be judged")
    texts = [(_lines(case.given, f"{case.place}, input"), _lines(case.wanted, f"{case.place}, output")) for case in cases]
    return Stdin([given for given, _ in texts], [wanted for _, wanted in texts], same_output)


def _lines(value: object, place: str) -> str:
    """A text, or the lines of one."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    return _text(value, place)


def _calls(cases: Sequence[_Case], entry_point: str) -> Calls:
    is_text = all(isinstance(case.given, str) for case in cases) and not cases[0].place.startswith(_COLUMNS)
    if is_text:  # LiveCodeBench's form: one JSON value a line
        try:
            inputs = [[json.loads(line) for line in str(case.given).strip("\n").split("\n")] for case in cases]
            return Calls(entry_point, inputs, [_expected(case.wanted) for case in cases], same_value)
        except (ValueError, RecursionError) as error:
            raise RowError(
                "bad_tests", f"{cases[0].place}: an input of {entry_point} is no JSON ({error}); one value a line is expected"
            ) from error
    for case in cases:
        if not isinstance(case.given, list):
            raise RowError("bad_tests", f"{case.place}, input is {_shown(case.given)}; the list of arguments of {entry_point} is expected")
    inputs, wanted = [case.given for case in cases if isinstance(case.given, list)], [case.wanted for case in cases]
    wrapped = all(isinstance(value, list) and len(value) == 1 for value in wanted)
    return Calls(entry_point, inputs, wanted, same_or_wrapped if wrapped else same_listed)


def _expected(value: object) -> object:
    return json.loads(value) if isinstance(value, str) else value


def same_or_wrapped(arguments: Sequence[Any], output: Any, expected: Any) -> bool:
    """The comparison of APPS and TACO where each expected value is a list of one: that list, or what is in it."""
    return same_listed(arguments, output, expected) or same_listed(arguments, output, expected[0])


def same_listed(arguments: Sequence[Any], output: Any, expected: Any) -> bool:
    """Whether two values are the same; a tuple counts as a list, also as an item of one, since JSON has none."""
    return same_value(arguments, output, expected) or bool(_listed(output) == expected)


def _listed(value: Any) -> Any:
    return [list(item) if type(item) is tuple else item for item in value] if type(value) in (list, tuple) else value


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise RowError("bad_tests", f"{place} is {_shown(value)}; a text is expected")
    return value


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 60 else f"{text[:60]}…"
