"""Texts made to be slow: whatever comes from outside is taken apart in time linear in its length, and raises nothing but what it says."""

import ast
import time
from collections.abc import Callable

import pytest

from asap.benchmarks import row_tests
from asap.benchmarks.asserts import pytest_file
from asap.benchmarks.isolation import isolation_of, named_tests
from asap.benchmarks.needs import outside_need, uses_solution
from asap.errors import RowError
from asap.evaluate import extract
from asap.evaluate.extract import code_of
from asap.fences import fenced
from asap.lm.response import Streamed
from asap.maths_result import concluded_number, last_boxed, same_text, stated_number
from asap.maths_spelling import plainly_spelled
from asap.python_code import is_aside
from asap.steps import split_steps
from asap.think import split_think

Takes = Callable[[str], object]
MANY = 300_000
ENDLESS_S = 60.0
"""CPU seconds: quadratic time takes minutes for so many characters, linear time a second or two."""


def sentences(text: str) -> object:
    return split_steps(text, "sentence")


def code_named(text: str) -> object:
    return code_of(text, names=["wanted"])


def fed_by_byte(text: str) -> object:
    streamed = Streamed(MANY)
    return [streamed.feed(byte.encode()) for byte in text]


SLOW: list[tuple[Takes, str, str, str]] = [
    (fenced, "```python\n", "The ", ""),
    (fenced, "x ", "```\r", ""),
    (fenced, "", "~~~\ra\r", "\n"),
    (sentences, "", ".", ""),
    (sentences, "A. B", "!", " c"),
    (code_of, "", "\u2028", "x"),
    (code_of, "x = 1\n", "<a> ", "x"),
    (code_of, "```python\nx = 1\n", "\r", ""),
    (last_boxed, "", "\\boxed{", ""),
    (last_boxed, "", "\\boxed {}{", ""),
    (concluded_number, "", "answer\n", ""),
    (stated_number, "", "1,111", ""),
    (stated_number, "", "1 ", ""),
    (stated_number, "1", " ", "/"),
    (stated_number, "\\boxed{", "\\text{", "}"),
    (stated_number, "\\boxed{", "=7", "}"),
    (stated_number, "\\boxed{", "\\frac{1}", "}"),
    (stated_number, "\\boxed{5", " am", "!}"),
    (stated_number, "\\boxed{", "ab ", "5}"),
    (lambda text: same_text(text, "5"), "5", " ", "x"),
    (plainly_spelled, "5", " 1", "/"),
    (plainly_spelled, "5", "\\ ", "x"),
    (plainly_spelled, "", "1,000", "x"),
    (plainly_spelled, "", "√(", ""),
    (plainly_spelled, "", "\\text{1", ""),
    (plainly_spelled, "", "\\frac{\\text{", ""),
    (pytest_file, "assert f(1) == 2", "\n", ""),
    (pytest_file, "assert f(1) == 2", "\n ", "\n"),
    (lambda text: is_aside("def f(): 1\n" + text[: len(text) // 2] + "y", "def f(): 1\ny\nz\nw\nv\nu\n" + text), "", "x\n", ""),
    (fed_by_byte, "data: ", "x", ""),
]


@pytest.mark.parametrize(("takes", "before", "piece", "after"), SLOW)
def test_a_text_made_to_be_slow_comes_to_an_end(takes: Takes, before: str, piece: str, after: str) -> None:
    started = time.process_time()
    takes(before + piece * (MANY // len(piece)) + after)
    assert time.process_time() - started < ENDLESS_S


def test_an_answer_of_many_statements_is_not_parsed_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    read = list[int]()

    def parse(code: str) -> ast.Module:
        read.append(len(code))
        return parsed(code)

    parsed = ast.parse
    monkeypatch.setattr(ast, "parse", parse)
    monkeypatch.setattr(extract, "_TRIED", 100_000)
    statements = "x = 1\n\n" * (20_000 // 7)
    code_named(f"# wanted\n{statements}")
    assert 20_000 <= sum(read) < 400_000, "256 beginnings and ends would be five million characters"


DEEP = ["(" * 3000, "a" + ".b" * 30_000, "-" * 50_000 + "1", "assert " + "not " * 20_000 + "x", "x = " + "[" * 150, "\0"]


@pytest.mark.parametrize("code", DEEP)
def test_code_that_is_nested_too_deeply_is_no_code(code: str) -> None:
    assert isolation_of(code) in ("apart", "together")
    assert named_tests(code) == []
    assert outside_need(code) is None
    assert uses_solution(code) in (True, False)
    with pytest.raises(RowError, match="no usable Python"):
        row_tests.tests_of({"test": f"def test_it():\n    assert f() == 1\n{code}"}, [])
    with pytest.raises(RowError, match="no usable Python"):
        row_tests.tests_of({"test_list": [code]}, [])


@pytest.mark.parametrize(
    "text", ["## Thinking\nFirst this.", "Thought: it is 4.", "</scratchpad>", "Here is my thought process:\n\nFirst."]
)
def test_a_heading_of_thinking_that_no_answer_follows_is_never_closed(text: str) -> None:
    with pytest.raises(RowError) as error:
        split_think(text)
    assert error.value.reason == "unclosed_think"
