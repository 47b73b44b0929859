"""Whether a text uses a tag or quotes it, which is decided by where the tag stands.

A tag is quoted

- in inline code, between quotation marks, in parentheses or in bold, on one line;
- in a code block, but not an opening tag that begins a line of a block that is never closed;
- as a word of a sentence, a list or a table: `the <think> part`, `- <think>: opens`;
- as the closing mate of a quoted opening tag, on the same line or in the same block.

A tag right behind a closing fence is used. Models are careless about fences while they think, so a closing tag without a mate ends
a thought even in a code block; in an answer only if the blocks after it all close just then.
"""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from asap.fences import blocks, fenced, is_open
from asap.spans import Span
from asap.think_tags import Tag

_ASKED = 32  # times that all fences behind a tag are counted
_AROUND = 1000  # characters of a line that are looked at, on each side of a tag
_ENCLOSED = (r"(?<!`)(`{1,2})(?!`).+?(?<!`)\1(?!`)", r"“[^”]*”", r"«[^»]*»", r"\*\*[^*]+\*\*", r"\([^()]*\)")
_STRINGS = (r'"(?:[^"\\]|\\.)*(?:"{end})', r"(?<!\w)[rbfuRBFU]?'(?:[^'\\]|\\.)*(?:'{end})")
_QUOTE = re.compile("|".join((*_ENCLOSED, *_STRINGS)).replace("{end}", ""))
_QUOTE_AT_END = re.compile("|".join((*_ENCLOSED, r"(?<!`)`{1,2}(?!`)[^`]*\Z", *_STRINGS)).replace("{end}", r"|\Z"))
"""On the last line, which may have been cut off before the quotation ends."""
_WORD_BEFORE = re.compile(r"[\w,;:][ \t]+$|^[ \t]*(?:[-*+•>#|]+|\d+[.)])[ \t]+$|[(\[{=\\/]$")
_WORD_AFTER_OPENING = re.compile(r"[ \t]+\S|[,.;:!?)\]|-]|[ \t]*\Z")
_WORD_AFTER_CLOSING = re.compile(r"[ \t]+[a-z|]|[,.;:!?)\]|-]|[ \t]*\Z")
_FENCE = re.compile(r"\s*(?:`{3,}|~{3,})\s*")


class Region:
    """A part of a text, up to its end, in which tags are told apart; code blocks are found from its start on."""

    def __init__(self, text: str, start: int, *, is_answer: bool) -> None:
        self.text, self.start, self.is_answer = text, start, is_answer
        self._mate: tuple[str, int] | None = None
        self._all: Sequence[Span] | None = None
        self._asked = 0
        self._closed: Collection[Span] = ()

    def uses(self, tag: Tag) -> bool:
        """Whether a tag is used. Ask for the tags in their order: a quoted one may have a mate."""
        line = _line_around(self.text, tag, self.start)
        mate, self._mate = self._mate, None
        if line.after_fence:
            return True
        if tag.opens:
            block = self._block_of(tag)
            quoted = line.quotes or (block is not None and not (line.starts and block not in self._closed))
            if quoted or line.mentions:
                self._mate = tag.row.name, block.end if block else line.end
            return not (quoted or line.mentions)
        if mate is not None and mate[0] == tag.row.name and tag.start < mate[1]:
            return False
        if line.quotes or line.mentions:
            return False
        if not self.is_answer:
            return True
        block = self._block_of(tag)
        return block is None or block not in self._closed or (line.alone and self._left_open(tag))

    def _block_of(self, tag: Tag) -> Span | None:
        """The code block around a tag."""
        if self._all is None:
            rest = self.text[self.start :]
            has_fence = "```" in rest or "~~~" in rest
            self._all = [Span(start + self.start, end + self.start) for start, end in fenced(rest)] if has_fence else []
            ends = {block.start + self.start for block in blocks(rest)} if self._all else set[int]()
            self._closed = {span for span in self._all if span.start in ends}
        at = bisect_left(self._all, tag.start, key=lambda span: span.start) - 1
        return self._all[at] if at >= 0 and tag.start < self._all[at].end else None

    def _left_open(self, tag: Tag) -> bool:
        """Whether the code blocks all close only if this tag ends the thinking."""
        self._asked += 1
        return self._asked < _ASKED and is_open(self.text[self.start :]) and not is_open(self.text[tag.end :])


class _Line(NamedTuple):
    """How a tag stands on its line."""

    end: int
    quotes: bool
    mentions: bool
    starts: bool
    alone: bool
    after_fence: bool


def _line_around(text: str, tag: Tag, least: int) -> _Line:
    start = max(text.rfind("\n", 0, tag.start) + 1, tag.start - _AROUND, least)
    end = text.find("\n", tag.end)
    is_last = end < 0
    end = min(len(text) if is_last else end, tag.end + _AROUND)
    before, after = text[start : tag.start], text[tag.end : end] + ("" if is_last else "\n")
    alone = not before.strip() and not after.strip()
    if alone:
        return _Line(end, False, False, True, True, False)
    inside = (start < tag.start < stop for start, stop in _quotations(text[start:end], start, is_last))
    word = (_WORD_AFTER_OPENING if tag.opens else _WORD_AFTER_CLOSING).match(after)
    mentions = _WORD_BEFORE.search(before) is not None and word is not None
    return _Line(end, any(inside), mentions, not before.strip(), False, _FENCE.fullmatch(before) is not None)


def _quotations(line: str, start: int, is_last: bool) -> Iterator[Span]:
    for found in (_QUOTE_AT_END if is_last else _QUOTE).finditer(line):
        yield Span(start + found.start(), start + found.end())
