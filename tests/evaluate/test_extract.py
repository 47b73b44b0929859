"""From a generation to a program: thinking, code blocks, headers."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asap.benchmarks.problem import Problem, Program
from asap.errors import UsageError
from asap.evaluate.extract import code_of, whole_program, with_header

FENCE = "```"
ONE = f"{FENCE}python\none = 1\n{FENCE}"
TWO = f"{FENCE}py\ntwo = 2 + 2\n{FENCE}"
PROBLEM = Problem("t", "?", "def f(x):\n", Program("", "f"), header="import math")


def test_code_inside_the_thinking_is_never_the_answer() -> None:
    assert whole_program(PROBLEM, "generation", f"<think>\n{ONE}\n") is None
    assert whole_program(PROBLEM, "generation", f"<think>\n{ONE}\n</think>\nI give up.") is None


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (f"{ONE}\n\n{TWO}", "two = 2 + 2\n"),
        (f"{TWO}\n{FENCE}bash\nls\n{FENCE}", "two = 2 + 2\n"),
        (f"{FENCE}\nplain = 1\n{FENCE}", "plain = 1\n"),
        (f"{FENCE}\nplain = 1\n{FENCE}\n{ONE}\n{FENCE}\noutput\n{FENCE}", "one = 1\n"),
        (f"{FENCE}Python\nx = 1\n{FENCE}", "x = 1\n"),
        (f"{FENCE}python title=a.py\nx = 1\n{FENCE}", "x = 1\n"),
        (f"1. So:\n   {FENCE}python\n   x = 1\n   {FENCE}", "x = 1\n"),
        (f"{ONE}\nand then\n{FENCE}python\ncut = off", "one = 1\n"),
        (f"{FENCE}python\ncut = off", None),
        (f"{FENCE}bash\nls\n{FENCE}", None),
        ("def f(x):\n    return x\n", "def f(x):\n    return x\n"),
        ("import os\nprint(os)", "import os\nprint(os)"),
        ("The answer is 5.", None),
        ("from my point of view it is 5", None),
        ("", None),
    ],
)
def test_the_last_closed_python_block_is_the_code(answer: str, code: str | None) -> None:
    assert code_of(answer) == code


def test_the_first_or_the_longest_block_on_demand() -> None:
    answer = f"{ONE}\n{TWO}\n{FENCE}python\nz\n{FENCE}"
    assert [code_of(answer, extract) for extract in ("first", "longest", "last")] == ["one = 1\n", "two = 2 + 2\n", "z\n"]  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="last, first, longest"):
        code_of(answer, "shortest")  # type: ignore[arg-type]


@given(st.text(alphabet="`ab \n<>/think#py"))
def test_no_text_makes_it_raise(text: str) -> None:
    whole_program(PROBLEM, "generation", text)


def test_the_three_kinds_of_attempts() -> None:
    assert whole_program(PROBLEM, "completion", "    return x\n") == "def f(x):\n    return x\n"
    assert whole_program(PROBLEM, "solution", "f = abs") == "import math\nf = abs"
    assert whole_program(PROBLEM, "generation", ONE) == "import math\none = 1\n"
    with pytest.raises(UsageError, match="has no prompt that a completion could continue"):
        whole_program(Problem("t", "?", None, Program("", "f")), "completion", "x")


def test_a_header_leaves_future_imports_first() -> None:
    program = with_header("import math", '"""Text."""\nfrom __future__ import annotations\nx = 1\n')
    ast.parse(program)
    compile(program, "program", "exec")
    assert program.startswith("from __future__ import annotations\nimport math\n")
    assert with_header("", "x") == "x"
