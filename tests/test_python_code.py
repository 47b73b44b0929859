"""What is Python, what is a program, and what was done to its characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asap.python_code import is_program, is_python, mended, parsed, with_definitions

PYTHON = [
    "python",
    "PyThOn",
    "py3",
    "python3.12",
    "{python}",
    "{.python .x}",
    "py title=a",
    "python:a.py",
    "{code-block} python",
]
OTHERS = [
    "",
    "jsx",
    "pyi",
    "pytb",
    "pyx",
    "c++",
    "text",
    "cpython-log",
    "python-traceback",
    "happy",
    "{code-cell}",
    "{code-cell} ipython3",
    "ipython",
    "pycon",
    "Python-like",
    "jython",
]
PROGRAMS = ["x = 1", "def f(): ...", "import a", "for a in b: c", "print(int(input()))", "with a: b", "x: int = 1", "'A.'\nx += 1"]
WORDS = ["", "yes", "Answer: x", "f(2)", "'words'", "5", "return x", "x = = 1", "a\0b"]
UNREADABLE = ["-" * 200_000 + "1", "a" + ".b" * 200_000, "(" * 9_000, "1" + "+1" * 200_000, "x = 1\n" * 40_000, "'\ud800'"]


def test_which_info_strings_name_python() -> None:
    assert [info for info in [*PYTHON, *OTHERS] if is_python(info)] == PYTHON


def test_a_program_does_something() -> None:
    assert [text for text in [*PROGRAMS, *WORDS] if is_program(text)] == PROGRAMS


@pytest.mark.parametrize("text", UNREADABLE, ids=lambda text: ascii(text[:5]))
def test_what_the_parser_cannot_read_is_no_program_and_stays(text: str) -> None:
    assert parsed(text) is None
    assert mended(text) == text


@given(st.text(st.sampled_from("x=1 \n\u00a0\ufeff'\"#>.")))
def test_what_parses_is_never_changed(code: str) -> None:
    assert mended(code) == code or (parsed(code) is None and parsed(mended(code)) is not None)


def test_odd_characters_in_strings_stay_where_the_code_parses() -> None:
    assert mended("x = '\u00a0\u200b'") == "x = '\u00a0\u200b'"
    assert mended("x\u00a0= 1\u200b") == "x = 1"


def test_definitions_come_from_the_last_piece_that_has_them_with_what_they_need() -> None:
    helper = "@decorator\ndef helper():\n    return math.pi * A"
    pieces = ["import math\nA = 1\nprint(A)", "def decorator(f):\n    return f", helper, "B = 2"]
    code = "def f():\n    return helper()"
    assert with_definitions(code, pieces) == f"import math\nA = 1\ndef decorator(f):\n    return f\n{helper}\n{code}"
    assert with_definitions(code, ["helper = 1", "helper = 2"]) == f"helper = 2\n{code}"
    assert with_definitions("def f(x):\n    return len(x)", ["len = 3", "def x(): ..."]) == "def f(x):\n    return len(x)"
    assert with_definitions("def f(:", ["x = 1"]) == "def f(:"
