"""The anchor: a direct derivation of the answer, written by an LLM from the question and the answer alone (paper §3.2).

It guides what `rewrite` and `select` keep. The LLM writes it at T=0, top_p=1, and never sees the trace. If the answer contains a
program, the LLM sees only the program: the surrounding prose often explains the same thing again.

What this does not do: judge whether the answer is right, or run it.
"""

import re
from collections.abc import Sequence

from asap.fences import CodeBlock, blocks
from asap.lm.generate import Request
from asap.prune.coarse.llm_reply import InvalidReply, enclosed, filled, prompt_file, without_delimiters
from asap.sample import Sample

_PYTHON = re.compile(r"[{.\s]*(?:python|py)[0-9.]*(?![\w+#-])", re.IGNORECASE)
_DEFINED = re.compile(r"^(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", re.MULTILINE)
_CALLED = re.compile(r"(?<![.\w])(\w+)[ \t]*\(")


def anchor_request(sample: Sample, max_tokens: int) -> Request:
    """The request for a sample's anchor. It leaves out the sample's system message."""
    texts = {"question": enclosed("question", sample.question), "answer": enclosed("answer", shown_answer(sample))}
    return Request([{"role": "user", "content": filled(prompt_file("anchor"), texts)}], max_tokens, temperature=0.0, kind="anchor")


def anchor_text(reply_text: str) -> str:
    """The anchor in a reply, without outer white space and echoed delimiter lines. Raises InvalidReply if nothing remains."""
    anchor = without_delimiters(reply_text).strip()
    if not anchor:
        raise InvalidReply("empty", "the anchor is empty")
    return anchor


def shown_answer(sample: Sample) -> str:
    """The part of the answer that the LLM sees: its program, if any, otherwise the whole answer."""
    program = program_of(sample)
    return sample.answer if program is None else program


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
    """The code of the last block that is not an aside to an earlier one."""
    codes = [block.code for block in found if block.code.strip()]
    programs = [code for place, code in enumerate(codes) if not any(_is_aside(code, earlier) for earlier in codes[:place])]
    return programs[-1] if programs else None


def _is_aside(code: str, earlier: str) -> bool:
    """Whether code only demonstrates earlier code (calls its definitions and defines nothing), or quotes at most half of it.

    In 40 of 545 real answers the last block is such an example or walk-through, or an alternative, and not the tested code.
    """
    lines, earlier_lines = ({line.strip() for line in text.splitlines()} - {""} for text in (code, earlier))
    if lines <= earlier_lines and 2 * len(lines) <= len(earlier_lines):
        return True
    return not _DEFINED.search(code) and not set(_DEFINED.findall(earlier)).isdisjoint(_CALLED.findall(code))


def _plain(code: str) -> str:
    return code.replace("\r\n", "\n").strip()
