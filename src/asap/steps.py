"""Reasoning steps as spans of the original text (paper §3.2: steps are separated by blank lines).

No step is ever re-typed, stripped or re-indented. The text between two spans is white space only, so the spans and
the text between them are the original, byte for byte. A fenced code block is never cut in two.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

StepSplit = Literal["fenced", "paper"]
SEPARATOR = "\n\n"

_FENCE = re.compile(r"[ \t]*(?:>[ \t]*)*(`{3,}|~{3,})([^\r]*)")
_BLANK = " \t\r"


class Span(NamedTuple):
    """A step: `text[start:end]`, in characters."""

    start: int
    end: int


def split_steps(text: str, how: StepSplit = "fenced") -> list[Span]:
    """The steps of a trace, in order.

    `fenced` splits at blank lines (lines of spaces and tabs count as blank) outside of code fences; `paper` splits at
    every literal "\\n\\n" and leaves out pieces of white space only, as the paper's scripts do.
    """
    return list(_paper_spans(text) if how == "paper" else _fenced_spans(text))


def join_steps(text: str, spans: Iterable[Span]) -> str:
    """The given steps of `text`, joined with one blank line."""
    return SEPARATOR.join(text[span.start : span.end] for span in spans)


def keep_steps(text: str, spans: Sequence[Span], kept: Sequence[bool], gap: str = "") -> str:
    """The kept steps joined; the original text, byte for byte, where every step is kept.

    A `gap` stands as a step of its own in the place of each run of removed steps.
    """
    if all(kept):
        return text
    if not gap:
        return join_steps(text, (span for span, keep in zip(spans, kept, strict=True) if keep))
    parts = list[str]()
    for number, (span, keep) in enumerate(zip(spans, kept, strict=True)):
        if keep:
            parts.append(text[span.start : span.end])
        elif number == 0 or kept[number - 1]:
            parts.append(gap)
    return SEPARATOR.join(parts)


def without_fences(text: str) -> str:
    """The text without its fenced code blocks, fences included. Blank lines around them stay."""
    return outside(text, fenced_lines(text), [Span(0, len(text))])


def fenced_lines(text: str) -> list[Span]:
    """The lines of fenced code blocks, fences and line breaks included, in order."""
    fences: list[str] = []
    found, position = list[Span](), 0
    for line in text.split("\n"):
        before, end = len(fences), min(position + len(line) + 1, len(text))
        _follow_fence(line, fences)
        if before or fences:
            found.append(Span(position, end))
        position = end
    return found


def outside(text: str, taken: Iterable[Span], spans: Iterable[Span]) -> str:
    """What stands in `spans` and not in `taken`, one after the other; both in order and without overlaps."""
    left = list(taken)
    parts = list[str]()
    for start, end in spans:
        position = start
        for gone in left:
            if gone.end > position and gone.start < end:
                parts.append(text[position : max(position, gone.start)])
                position = min(gone.end, end)
        parts.append(text[position:end])
    return "".join(parts)


def is_fenced(text: str) -> bool:
    """Whether the text ends inside a code fence that was never closed."""
    fences: list[str] = []
    for line in text.split("\n"):
        _follow_fence(line, fences)
    return bool(fences)


def _paper_spans(text: str) -> Iterator[Span]:
    start = 0
    for piece in text.split(SEPARATOR):
        end = start + len(piece)
        if piece.strip():
            yield Span(start, end)
        start = end + len(SEPARATOR)


def _fenced_spans(text: str) -> Iterator[Span]:
    fences: list[str] = []
    step_start: int | None = None
    step_end = position = 0
    for line in text.split("\n"):
        line_end = position + len(line)
        if line.strip(_BLANK) or (fences and step_start is not None):
            if step_start is None:
                step_start = position
            if line.strip(_BLANK):
                step_end = line_end - (len(line) - len(line.rstrip("\r")))
            _follow_fence(line, fences)
        elif step_start is not None:
            yield Span(step_start, step_end)
            step_start = None
        position = line_end + 1
    if step_start is not None:
        yield Span(step_start, step_end)


def _follow_fence(line: str, fences: list[str]) -> None:
    """Keep the stack of open fences: a bare fence closes the innermost open one that it is long enough for, a fence
    with an info string opens a block, also inside another one (models write code about Markdown).
    """
    match = _FENCE.match(line)
    if match is None:
        return
    fence, info = match.group(1), match.group(2).strip()
    if fence[0] == "`" and "`" in info:  # inline code, not a fence
        return
    if not fences:
        fences.append(fence)
    elif fence[0] == fences[-1][0] and len(fence) >= len(fences[-1]):
        if info:
            fences.append(fence)
        else:
            fences.pop()
