"""Answers that continue a problem's prompt instead of repeating it, as HumanEval's rule has it: prompt and completion are the program."""

import ast
import re
import textwrap

from asap.python_code import defines, parsed

_FENCE_LINE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})", re.MULTILINE)
_INDENTED = re.compile(r"\s*\n[ \t]|[ \t]+\S")


def continuation(prompt: str, answer: str, code: str | None, names: list[str]) -> str | None:
    """What an answer, whose code block holds `code`, adds to a prompt; None if it is no rest of the function that the prompt begins.

    The rest is indented lines, up to a fence that the request had opened, or a code block that returns, but not in a function.
    """
    head = _FENCE_LINE.split(answer, maxsplit=1)[0]
    if _INDENTED.match(head) and not defines(textwrap.dedent(head), names) and parsed(prompt + head):
        return head
    tree = None if code is None else parsed(textwrap.dedent(code))
    if code is None or tree is None or not _returns(tree):
        return None
    return textwrap.indent(textwrap.dedent(code), _indentation(prompt))


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
