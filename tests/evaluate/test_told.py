"""What a text of an attempt is: by its column, and by itself where no column says so or the column cannot be meant."""

from dataclasses import replace

import pytest
from evaluate_helpers import DOUBLE, ECHO, FENCE, RIGHT

from asap.evaluate.attempt_texts import UNCLEAR
from asap.evaluate.extract import whole_program
from asap.evaluate.told import Told, told

PROBLEM = replace(DOUBLE, prompt='import math\n\n\ndef double(x):\n    """Twice x."""\n')
WHOLE, BODY = RIGHT["double"], "    return 2 * x\n"
QUOTING = f'def double(x):\n    """\n    {FENCE}python\n    double(1)\n    {FENCE}\n    """\n    return 2 * x\n'


def fenced(code: str) -> str:
    return f"Here it is:\n\n{FENCE}python\n{code}{FENCE}\n"


@pytest.mark.parametrize("kind", ["solution", "completion", "generation"])
def test_a_program_is_what_its_column_says(kind: str) -> None:
    for text in (WHOLE, BODY, "def double(:\n", "return 2 * x", ""):
        assert told(PROBLEM, kind, text) == (kind, text)


@pytest.mark.parametrize("kind", ["solution", "completion", UNCLEAR])
@pytest.mark.parametrize("thought", ["", "<think>\nhm\n</think>\n\n"])
def test_markdown_and_thinking_are_read_as_an_answer(kind: str, thought: str) -> None:
    text = thought + fenced(WHOLE)
    assert told(PROBLEM, kind, text) == ("generation", text)


def test_code_that_quotes_a_fence_stays_code() -> None:
    for kind in ("solution", UNCLEAR):
        assert told(PROBLEM, kind, QUOTING) == ("solution", QUOTING)
    quoting_body = f'    """\n    {FENCE}\n    """\n{BODY}'.replace('    """\n', "    '''\n")
    assert told(PROBLEM, "completion", quoting_body) == ("completion", quoting_body)


@pytest.mark.parametrize("kind", ["solution", "completion", UNCLEAR])
def test_a_code_block_may_hold_the_rest_of_the_function(kind: str) -> None:
    assert told(PROBLEM, kind, fenced(BODY)) == Told("completion", BODY)


@pytest.mark.parametrize("kind", ["completion", UNCLEAR])
def test_a_fence_that_the_request_had_opened_ends_the_code(kind: str) -> None:
    assert told(PROBLEM, kind, f"{BODY}{FENCE}\n\nThis doubles x.\n") == Told("completion", BODY)
    found = told(PROBLEM, kind, f"{WHOLE}{FENCE}\n\nThis doubles x.\n")
    assert (whole_program(PROBLEM, *found) or "").strip() == WHOLE.strip()
    assert told(PROBLEM, kind, f"Sure\n{fenced(WHOLE)}").kind == "generation"


def test_code_nested_deeply_is_read() -> None:
    chain = "if x == 0:\n    y = 0\n" + "".join(f"elif x == {number}:\n    y = {number}\n" for number in range(1, 1500))
    assert told(PROBLEM, "solution", fenced(chain)).kind == "generation"
    assert told(PROBLEM, "solution", fenced(f"{chain}return y\n")).kind in ("completion", "generation")
    assert told(PROBLEM, UNCLEAR, fenced("x = " + "-" * 100_000 + "1\n")).kind == "generation"
    assert told(PROBLEM, UNCLEAR, fenced("x = a" + ".a" * 50_000 + "\n")).kind == "generation"


def test_a_draft_in_thinking_that_never_ends_is_no_program() -> None:
    for kind in ("solution", "completion", UNCLEAR):
        found = told(PROBLEM, kind, f"<think>\n{fenced(WHOLE)}")
        assert whole_program(PROBLEM, *found) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (WHOLE, "solution"),
        (BODY, "completion"),
        (f"import os\n{WHOLE}", "solution"),
        (f"The answer is:\n\n{WHOLE}", "generation"),
        ("def double(:\n", "solution"),
        ("return 2 * x", "solution"),
        ("", "solution"),
    ],
)
def test_a_text_of_which_nobody_says_what_it_is(text: str, kind: str) -> None:
    assert told(PROBLEM, UNCLEAR, text) == (kind, text)


def test_what_has_no_prompt_has_no_completion() -> None:
    assert told(ECHO, UNCLEAR, "print(input())\n").kind == "solution"
    assert told(ECHO, UNCLEAR, fenced("print(input())\n")).kind == "generation"
