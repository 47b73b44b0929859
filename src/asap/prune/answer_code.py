"""The program in an answer, from which stage 1 derives its anchor and whose likelihood is a trace's support."""

from collections.abc import Sequence

from asap.fences import CodeBlock, blocks
from asap.python_code import is_aside, is_python
from asap.sample import Sample


def program_of(sample: Sample) -> str | None:
    """The tested code that the row names, else the last Python program in the answer, else None."""
    found = blocks(sample.answer)
    if sample.tested_code is not None:
        same = (block.code for block in found if _plain(block.code) == _plain(sample.tested_code))
        return next(same, sample.tested_code).strip("\r\n")
    named = [block for block in found if is_python(block.info)]
    program = _last_program(named or [block for block in found if not block.info])
    return None if program is None else program.strip("\r\n")


def _last_program(found: Sequence[CodeBlock]) -> str | None:
    """The code of the last block that is not an aside to an earlier block."""
    codes = [block.code for block in found if block.code.strip()]
    programs = [code for place, code in enumerate(codes) if not any(is_aside(code, earlier) for earlier in codes[:place])]
    return programs[-1] if programs else None


def _plain(code: str) -> str:
    return code.replace("\r\n", "\n").strip()
