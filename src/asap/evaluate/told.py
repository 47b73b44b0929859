"""What a text of an attempt is, told by the text itself where its column does not say, or where the text is not what the column says.

Markdown and thinking in a `solution` or `completion` are read like any answer of a model: no Python program has either.
"""

import ast
import re
import textwrap
from typing import NamedTuple

from asap.benchmarks.problem import Calls, Problem, Program
from asap.evaluate.attempt_texts import UNCLEAR
from asap.evaluate.extract import code_of, wanted_names
from asap.python_code import defines, parsed
from asap.think import parts_of
from asap.think_tags import TAGS, TagTable

_FENCE_LINE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})", re.MULTILINE)


class Told(NamedTuple):
    """What a text is, and the text."""

    kind: str
    text: str


def told(problem: Problem, kind: str, text: str, table: TagTable = TAGS) -> Told:
    """The text as a generation, a solution or a completion. A program that is none as it stands, but Markdown or thinking, is a generation.

    The code block of a completion may hold the rest of the function alone.
    """
    if kind == "generation":
        return Told(kind, text)
    if not _has_marks(text, table):
        return _of_unclear(problem, text) if kind == UNCLEAR else Told(kind, text)
    whole = problem.prompt + text if kind == "completion" and problem.prompt is not None else text
    if parsed(whole):
        return Told("solution" if kind == UNCLEAR else kind, text)
    return _continued(problem, text, table) or Told("generation", text)


def _has_marks(text: str, table: TagTable) -> bool:
    """Whether a text has what answers of models have: fences or thinking."""
    return "```" in text or "~~~" in text or parts_of(text, table=table) != (None, text)


def _continued(problem: Problem, text: str, table: TagTable) -> Told | None:
    """An answer as a completion, if its code is the rest of the prompt's function.

    That is a code block that returns, but not in a function, or indented lines before a fence that the request had opened.
    """
    answer = parts_of(text, table=table).answer
    head = "" if answer is None else _FENCE_LINE.split(answer, maxsplit=1)[0]
    if problem.prompt and re.match(r"\s*\n[ \t]|[ \t]+\S", head) and parsed(problem.prompt + head):
        return Told("completion", head)
    code = None if answer is None or not problem.prompt else code_of(answer)
    tree = None if code is None else parsed(textwrap.dedent(code))
    if code is None or tree is None or not problem.prompt or not _returns(tree):
        return None
    return Told("completion", textwrap.indent(textwrap.dedent(code), _indentation(problem.prompt)))


def _returns(program: ast.Module) -> bool:
    """Whether a program returns outside of its functions."""
    left: list[ast.AST] = [*program.body]
    while left:  # no recursion: a chain of a thousand elif is as deep
        node = left.pop()
        if isinstance(node, ast.Return):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr):
            left += ast.iter_child_nodes(node)
    return False


def _indentation(prompt: str) -> str:
    """That of a function's body whose beginning ends a prompt."""
    last = prompt.rstrip().rpartition("\n")[2]
    return last[: len(last) - len(last.lstrip())] or "    "


def _of_unclear(problem: Problem, text: str) -> Told:
    """A text without code blocks of which nobody says what it is."""
    if problem.prompt and not defines(text, _entry(problem)) and text[:1].isspace() and parsed(problem.prompt + text):
        return Told("completion", text)
    return Told("generation" if parsed(text) is None and code_of(text, names=wanted_names(problem)) else "solution", text)


def _entry(problem: Problem) -> list[str]:
    check = problem.check
    return [check.entry_point.partition(".")[0]] if isinstance(check, (Calls, Program)) and check.entry_point else []
