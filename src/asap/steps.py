"""Reasoning steps as spans of the original text (paper §3.2: blank lines separate steps).

No step is ever re-typed, stripped or re-indented. Only white space lies between two spans, so the spans and the text between
them are the original, byte for byte. A fenced code block is never split.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from asap.fences import fenced
from asap.spans import Span

StepSplit = Literal["fenced", "paper"]
SEPARATOR = "\n\n"

_BLANK = " \t\r"


def split_steps(text: str, how: StepSplit = "fenced") -> list[Span]:
    """The steps of a trace, in order.

    `fenced` splits at blank lines (lines of spaces and tabs count as blank) outside code fences; `paper` splits at every literal
    "\\n\\n" and drops pieces of white space only, like the paper's scripts.
    """
    return list(_paper_spans(text) if how == "paper" else _fenced_spans(text))


def join_steps(text: str, spans: Iterable[Span]) -> str:
    """The given steps of `text`, joined by blank lines."""
    return SEPARATOR.join(text[span.start : span.end] for span in spans)


def keep_steps(text: str, spans: Sequence[Span], kept: Sequence[bool], gap: str = "") -> str:
    """The kept steps, joined; the original text, byte for byte, if every step is kept.

    A `gap` replaces each run of removed steps, as a step of its own.
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


def _paper_spans(text: str) -> Iterator[Span]:
    start = 0
    for piece in text.split(SEPARATOR):
        end = start + len(piece)
        if piece.strip():
            yield Span(start, end)
        start = end + len(SEPARATOR)


def _fenced_spans(text: str) -> Iterator[Span]:
    blocks = iter(fenced(text))
    block = next(blocks, None)
    step_start: int | None = None
    step_end = position = 0
    for line in text.split("\n"):
        line_end = position + len(line)
        while block is not None and block.end <= position:
            block = next(blocks, None)
        visible = line.strip(_BLANK)
        if visible or (block is not None and block.start < position):
            if step_start is None:
                step_start = position
            if visible:
                step_end = line_end - (len(line) - len(line.rstrip("\r")))
        elif step_start is not None:
            yield Span(step_start, step_end)
            step_start = None
        position = line_end + 1
    if step_start is not None:
        yield Span(step_start, step_end)
