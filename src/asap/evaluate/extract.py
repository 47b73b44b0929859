"""From what a model wrote to the program that is judged: the answer after the thinking, its code block, and what goes before it."""

import re
from typing import Literal

from asap.benchmarks.problem import Problem
from asap.errors import UsageError
from asap.fences import blocks
from asap.think import parts_of

Extract = Literal["last", "first", "longest"]
EXTRACTS: tuple[Extract, ...] = ("last", "first", "longest")

_PYTHON = ("python", "python3", "py", "py3")
_CODE_START = re.compile(r"\s*(?:#|@\w|def \w+\s*\(|class \w+\s*[(:]|import \w|from [\w.]+ import )")
_FUTURE = re.compile(r"^from __future__ import .*\n?", re.MULTILINE)


def code_of(answer: str, extract: Extract = "last") -> str | None:
    """The chosen one among the closed Python code blocks of an answer, or among those without a language if there is none.

    An answer without any fence that begins like code is code as a whole. None where it holds no code.
    """
    if extract not in EXTRACTS:
        raise UsageError(f"--extract is {extract!r}; write one of: {', '.join(EXTRACTS)}")
    found = blocks(answer)
    codes = [block.code for block in found if block.info.split(" ")[0].lower() in _PYTHON]
    codes = codes or [block.code for block in found if not block.info]
    if codes:
        return max(codes, key=len) if extract == "longest" else codes[-1 if extract == "last" else 0]
    return answer if "```" not in answer and _CODE_START.match(answer) else None


def whole_program(problem: Problem, kind: str, text: str, extract: Extract = "last") -> str | None:
    """The whole program of an attempt: a `solution` as it is, a `completion` behind the prompt, a `generation`'s code block.

    None where a generation holds no answer. Raises UsageError for a completion of a problem that has nothing to continue.
    """
    if kind == "completion":
        if problem.prompt is None:
            raise UsageError(f"{problem.task_id} has no prompt that a completion could continue; give a solution or a generation")
        return problem.prompt + text
    if kind == "solution":
        return with_header(problem.header, text)
    answer = parts_of(text).answer
    code = None if answer is None else code_of(answer, extract)
    return None if code is None else with_header(problem.header, code)


def with_header(header: str, program: str) -> str:
    """A program with a header before it; `from __future__` imports stay the first of all."""
    if not header:
        return program
    futures = "".join(line.rstrip("\n") + "\n" for line in _FUTURE.findall(program))
    return f"{futures}{header}\n{_FUTURE.sub('', program) if futures else program}"
