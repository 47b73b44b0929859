"""The program in an answer, from which stage 1 derives its anchor and whose likelihood is a trace's support."""

import re
from collections.abc import Sequence

from asap.fences import CodeBlock, blocks
from asap.sample import Sample

_PYTHON = re.compile(r"[{.\s]*(?:python|py)[0-9.]*(?![\w+#-])", re.IGNORECASE)
_DEFINED = re.compile(r"^(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", re.MULTILINE)
_CALLED = re.compile(r"(?<![.\w])(\w+)[ \t]*\(")


def program_of(sample: Sample) -> str | None:
    """The tested code that the row names, else the last Python program in the answer, else None."""
    found = blocks(sample.answer)
    if sample.tested_code is not None:
        same = (block.code for block in found if _plain(block.code) == _plain(sample.tested_code))
        return next(same, sample.tested_code).strip("\r\n")
    named = [block for block in found if _PYTHON.match(block.info)]
    program = _last_program(named or [block for block in found if not block.info])
    return None if program is None else program.strip("\r\n")


def _last_program(found: Sequence[CodeBlock]) -> str | None:
    """The code of the last block that is not an aside to an earlier block."""
    codes = [block.code for block in found if block.code.strip()]
    programs = [code for place, code in enumerate(codes) if not any(_is_aside(code, earlier) for earlier in codes[:place])]
    return programs[-1] if programs else None


def _is_aside(code: str, earlier: str) -> bool:
    """Whether code only demonstrates earlier code (calls its definitions and defines nothing), or quotes at most half of it.

    In 40 of 545 real answers the last block is an example, a walk-through or an alternative instead of the tested code.
    """
    lines, earlier_lines = ({line.strip() for line in text.splitlines()} - {""} for text in (code, earlier))
    if lines <= earlier_lines and 2 * len(lines) <= len(earlier_lines):
        return True
    return not _DEFINED.search(code) and not set(_DEFINED.findall(earlier)).isdisjoint(_CALLED.findall(code))


def _plain(code: str) -> str:
    return code.replace("\r\n", "\n").strip()
