r"""Where lines and sentences end, in characters of the text: the white space between them, for traces without blank lines.

A line ends at a line break, also U+0085, U+2028 and U+2029. A sentence also ends at `.`, `!`, `?` or `…`, with closing quotes and
brackets, before white space and anything but a lower-case letter, and at their wide forms such as `。`; it does not end at a line break
before a lower-case letter if the line has no such end. The point of `e.g.`, `Fig.` and the like, and of `1.` at the start of a line, ends
nothing; that of 3.14 has no white space behind it. Nothing ends in displayed maths (`\[ … \]`, `$$ … $$`, `\begin{…} … \end{…}`), nor in
inline code and maths.

What this does not do: read a language. A rule in a hundred lines is right for the prose of reasoning traces; a library for sentences
would need a model, or normalise the text, and every character must stay.
"""

import re
from collections.abc import Iterator

from asap.spans import Span

_BLANK = r"[^\S\n\f\v\x1c-\x1f\x85\u2028\u2029]*"  # white space within a line, carriage returns included
_LINE = rf"(?:\r?\n(?:{_BLANK}\n)*|\r(?!\n)(?:[ \t]*\r(?!\n))*|[\x85\u2028\u2029]+)"
_ONE_BREAK = re.compile(r"\r\n?|[\n\x85\u2028]")
_LINES = re.compile(_LINE)
_SENTENCES = re.compile(
    rf"(?P<line>{_LINE})"
    r"""|(?<![.!?…؟।])(?P<end>[.!?…؟।]+["'”’)\]}*_]*)(?P<space>[ \t]+)(?=\S)"""
    r"""|(?P<wide>[。！？]+["'”’)\]}」』）*_]*)(?P<none>[ \t]*)(?=\S)"""
)
_DISPLAYED = r"\\\[.{0,2000}?\\\]|\$\$.{1,2000}?\$\$|\\begin\{(\w+\*?)\}.{0,4000}?\\end\{\1\}"
_MATHS = re.compile(_DISPLAYED, re.DOTALL)
_INLINE = re.compile(
    rf"{_DISPLAYED}|(?<!`)(`+)(?!`)[^\n]{{0,300}}?[^`\n]\2(?!`)|\\\([^\n]{{0,300}}?\\\)"
    r"|(?<![\\$])\$(?=[^\s$])[^\n$]{0,300}(?<=[^\s\\])\$(?!\d)",
    re.DOTALL,
)
_ABBREVIATED = re.compile(r"(?:^|(?<=[\s(\[]))(?:e\.g|i\.e|cf|vs|viz|approx|resp|Dr|Mr|Mrs|Ms|Prof|St|Fig|Figs|Eq|Eqs|Sec|Ch|Ex)$")
_NUMBERED = re.compile(r"^[ \t>*_-]*(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,4})$")
_ENDS = ".!?…。！？:;"
_BEFORE = 80  # characters that are looked at for an abbreviation or a list's number


def line_ends(text: str) -> Iterator[Span]:
    """The line breaks of a text, with the blank lines that follow, outside of displayed maths."""
    return _outside((Span(*found.span()) for found in _LINES.finditer(text)), _MATHS, text)


def sentence_ends(text: str) -> Iterator[Span]:
    """The white space between two sentences, which is nothing after `。`, outside of maths and code within a line."""
    return _outside((gap for found in _SENTENCES.finditer(text) if (gap := _gap(text, found)) is not None), _INLINE, text)


def _outside(gaps: Iterator[Span], protected: re.Pattern[str], text: str) -> Iterator[Span]:
    inside = protected.finditer(text)
    found = next(inside, None)
    for gap in gaps:
        while found and found.end() <= gap.start:
            found = next(inside, None)
        if not found or gap.end <= found.start():
            yield gap


def _gap(text: str, found: re.Match[str]) -> Span | None:
    """The white space of what may be the end of a sentence, or None."""
    if found["line"] is not None:
        rest = text[found.end() : found.end() + _BEFORE].lstrip(" \t")
        goes_on = (
            _ONE_BREAK.fullmatch(found["line"]) is not None
            and rest[:1].islower()
            and text[max(0, found.start() - _BEFORE) : found.start()].rstrip(" \t*_)\"'")[-1:] not in _ENDS
        )
        return None if goes_on else Span(*found.span())
    if found["wide"] is not None:
        return Span(*found.span("none"))
    before = text[max(0, found.start() - _BEFORE) : found.start()]
    line = re.split(r"[\n\r\x85\u2028\u2029]", before)[-1]
    if text[found.end()].islower() or (found["end"] == "." and (_ABBREVIATED.search(before) or _NUMBERED.match(line))):
        return None
    return Span(*found.span("space"))
