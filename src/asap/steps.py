"""Reasoning steps as spans of the original text (paper §3.2: blank lines separate steps).

No step is ever re-typed, stripped or re-indented. Only white space lies between two spans, so the spans and the text between
them are the original, byte for byte. A fenced code block is never split, except by `paper`.
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Literal, get_args

from asap.errors import RowError, UsageError
from asap.fences import fenced
from asap.sentences import line_ends, sentence_ends
from asap.spans import Span

StepSplit = Literal["fenced", "paper", "line", "sentence"]
STEP_SPLITS: tuple[StepSplit, ...] = get_args(StepSplit)
Splitter = Callable[[str], Iterable[tuple[int, int]]]
"""A user's own way to split: from a trace to the start and the end of each step, in characters."""
SEPARATOR = "\n\n"

_BLANK = " \t\r\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_BLANK_LINE = re.compile(rf"\n[{_BLANK}]*\n|\r[{_BLANK}]*\r")
_LINE_BREAK = re.compile(r"\r?\n|\r")
_BREAK = re.compile(r"[\r\n]")
_BLANK_LINES = re.compile(rf"\n(?=([{_BLANK}]*)\n)|\r(?=([{_BLANK.replace(chr(13), '')}]*)\r)")
_NEAR = 32  # characters


def split_steps(text: str, how: StepSplit | Splitter = "fenced") -> list[Span]:
    """The steps of a trace, in order.

    `fenced` splits at blank lines (lines of spaces and tabs count as blank) outside code fences; `paper` splits at every literal
    "\\n\\n" and drops pieces of white space only, like the paper's scripts; `line` splits at every line break and `sentence` also at
    the ends of sentences (`asap.sentences`), both outside code fences and displayed maths. A function splits as it likes; raises
    RowError where its steps are none.
    """
    if callable(how):
        return _own_spans(text, how)
    if how not in STEP_SPLITS:
        raise UsageError(f"unknown step_split {how!r}; choose from {', '.join(STEP_SPLITS)}, or give a function")
    if how == "paper":
        return list(_paper_spans(text))
    if how == "fenced":
        return list(_fenced_spans(text))
    return list(_spans_between(text, line_ends(text) if how == "line" else sentence_ends(text)))


def join_steps(text: str, spans: Iterable[Span]) -> str:
    """The given steps of `text`, joined by what separates them there: see `separator`."""
    return laid_out(text, spans)[0]


def laid_out(text: str, spans: Iterable[Span]) -> tuple[str, list[Span]]:
    """The given steps of `text`, joined, and where they are in the joined text."""
    parts, laid, position = list[str](), list[Span](), 0
    before: Span | None = None
    for span in spans:
        between = separator(text, before, span) if before else ""
        parts += [between, text[span.start : span.end]]
        laid.append(Span(position + len(between), position + len(between) + span.end - span.start))
        position, before = laid[-1].end, span
    return "".join(parts), laid


def separator(text: str, before: Span, after: Span) -> str:
    """What joins two steps: a blank line where one lies between them in the text, else a line break if one does, else the white space
    before the second, or behind the first.
    """
    if _BLANK_LINE.search(text, before.end, after.start):
        return SEPARATOR
    if found := _LINE_BREAK.search(text, before.end, after.start):
        return found[0]
    between = text[before.end : after.start]
    return between[len(between.rstrip()) :] or between[: len(between) - len(between.lstrip())]


class Separators:
    """`separator` for any two steps of one text, without reading what lies between them each time."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._breaks = array("q", (found.start() for found in _BREAK.finditer(text)))
        blank = [(found.start(), found.end(1) + 1 if found[1] is not None else found.end(2) + 1) for found in _BLANK_LINES.finditer(text)]
        self._starts = array("q", (start for start, _ in blank))
        self._ends = array("q", accumulate((end for _, end in reversed(blank)), min))[::-1]
        """For each blank line, the first end of it and those behind it."""

    def between(self, before: Span, after: Span) -> str:
        """What joins two steps."""
        start, end = before.end, after.start
        if end - start < _NEAR:
            return separator(self._text, before, after)
        at = bisect_left(self._starts, start)
        if at < len(self._ends) and self._ends[at] <= end:
            return SEPARATOR
        at = bisect_left(self._breaks, start)
        if at < len(self._breaks) and (place := self._breaks[at]) < end:
            return "\r\n" if self._text.startswith("\r\n", place, end) else self._text[place]
        first, last = start, end
        while last > start and self._text[last - 1].isspace():
            last -= 1
        if last == end:
            while self._text[first].isspace():
                first += 1
        return self._text[last:end] or self._text[start:first]


def has_line_break(space: str) -> bool:
    """Whether white space ends a line."""
    return "\n" in space or "\r" in space


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
        if not keep and number and not kept[number - 1]:
            continue
        between = separator(text, spans[number - 1], span) if number else ""
        parts += [between, text[span.start : span.end] if keep else gap]
    return "".join(parts)


def _own_spans(text: str, how: Splitter) -> list[Span]:
    """The steps of a user's function, which between them leave nothing but white space out. Raises RowError."""
    name = getattr(how, "name", how)
    try:
        spans = [Span(int(start), int(end)) for start, end in how(text)]
    except (Exception, SystemExit) as error:
        raise RowError("bad_steps", f"step_split {name} raised {type(error).__name__}: {error}") from error
    end = 0
    for number, span in enumerate(spans):
        if not end <= span.start < span.end <= len(text) or not text[span.start : span.end].strip():
            raise RowError(
                "bad_steps", f"step_split {name} gave {tuple(span)} as step {number}; visible text behind step {number - 1} is expected"
            )
        if text[end : span.start].strip():
            raise RowError("bad_steps", f"step_split {name} leaves out {text[end : span.start].strip()[:40]!r} before step {number}")
        end = span.end
    if text[end:].strip():
        raise RowError("bad_steps", f"step_split {name} leaves out {text[end:].strip()[:40]!r} at the end")
    return spans


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


def _spans_between(text: str, gaps: Iterable[Span]) -> Iterator[Span]:
    """The visible pieces between the gaps that lie outside of code blocks."""
    blocks = (Span(start, start + len(text[start:end].rstrip("\r\n"))) for start, end in fenced(text))
    block = next(blocks, None)
    start = 0
    for gap in gaps:
        while block is not None and block.end <= gap.start:
            block = next(blocks, None)
        if block is None or gap.end <= block.start:
            if text[start : gap.start].strip():
                yield Span(start, gap.start)
            start = gap.end
    if text[start:].strip():
        yield Span(start, len(text))
