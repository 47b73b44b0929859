"""Fenced code blocks of Markdown, in characters of the text (CommonMark 0.31, section 4.5).

As in CommonMark, a fence is a line of three or more backticks or tildes, a bare fence of the same kind that is at least as long and
indented by less than four columns more closes a block, and no backtick follows backticks on their line. A trace is not a document, and
models write fences where CommonMark has none, so we differ on purpose in these points:

- never closed: such a block ends before the first paragraph that does not look like code, or the first line that is a sentence;
  CommonMark's extends to the end of the text;
- nested: inside a block, a fence with an info string opens another one, because models write code about Markdown;
- indented: an opening fence may be indented by any white space, as in lists;
- quoted: `>` before a fence is skipped, and no block ends because its quotation or its list item does;
- text before: a fence with a one-word info string may open a block behind text, as in "The solution: ```python", if it is closed;
- text behind: end tokens, tags, brackets, or white space and several words may follow a closing fence, as in "```</answer>";
- other blocks: HTML is not recognised;
- white space: any Unicode white space may follow a closing fence, and a carriage return alone ends no line.

`markdown-it-py` finds the same blocks if none of these occur, so the tests compare this scanner with it. We do not use it: it returns
lines instead of characters, does not nest, and reads 12.8 MB of traces at 7 MB/s at best, this scanner at 200.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

from asap.spans import Span

_FENCE = re.compile(r"(`{3,}|~{3,})([^\r\n]*)")
_LEAD = re.compile(r"(?:[ \t]*(?:>|(?:[-*+]|\d{1,9}[.)])(?=[ \t])))*[ \t]*")
_ONE_WORD = re.compile(r"[{.A-Za-z][^\s<>`]*\s*")
_END_MATTER = re.compile(r"(?:\s|</?\w[^<>]*>|<[|｜][^<>]*[|｜]>|\[/?[A-Z_]+\]|[}\])*_.,;:!])*")
_CODE_LINE = re.compile(
    r"[ \t]|[@}\])]|#(?!#)|//|/\*|[\w.]+\(.*[)\](,{:;\\]$|[\w.\[\]]+(?:, *[\w.\[\]]+)* *[-+*/%|&^]?=(?!=)"
    r"|(?:async|class|const|def|elif|else|except|finally|for|from|if|import|let|print|return|try|while|with)\b"
)
_FIRST_WORD, _NEXT_WORD, _LAST_WORD = (re.compile(pattern) for pattern in (r"[A-Z][^\s({\[=]* ", r"\w[,:]* ", r"\w[.!?:]"))


class CodeBlock(NamedTuple):
    """A block: `text[start:end]` with its fences, its info string, and the code without what stands before it on each line."""

    start: int
    end: int
    info: str
    code: str


class _Line(NamedTuple):
    """A line with a fence at `start`, which ends at `end`. `lead` and `tail` stand before and behind the fence."""

    lead: str
    start: int
    end: int
    fence: str
    tail: str

    @property
    def info(self) -> str:
        """The info string, empty without one."""
        return self.tail.strip()

    @property
    def is_pure(self) -> bool:
        """Whether only white space, signs of quotation and list markers stand before the fence."""
        return _LEAD.fullmatch(self.lead) is not None

    @property
    def column(self) -> int:
        """The width of the white space before the fence, within its quotation."""
        return len(self.lead.rpartition(">")[2].expandtabs(4))

    @property
    def block_start(self) -> int:
        """Where a block that this line opens begins: at the line's start, unless text stands before the fence."""
        return self.start - len(self.lead) if self.is_pure else self.start

    def opens(self, inside: "_Line | None") -> bool:
        """Whether the line opens a block, at the top level or inside another block."""
        if self.fence[0] == "`" and "`" in self.tail:
            return False  # code within a line
        if inside is None:
            return self.is_pure or (self.fence[0] == "`" and _ONE_WORD.fullmatch(self.tail) is not None and self.lead[-1] not in "`\\")
        return self.is_pure and self._reaches(inside) and bool(self.info) and not _may_follow(self.tail)

    @property
    def may_close(self) -> bool:
        """Whether the line can close a block at all."""
        return not self.lead.strip(" \t>") and _may_follow(self.tail)

    def closes(self, opening: "_Line") -> bool:
        """Whether the line closes the block that another one opened."""
        return self._reaches(opening) and self.may_close

    def _reaches(self, opening: "_Line") -> bool:
        return self.fence.startswith(opening.fence) and (self.column < opening.column + 4 or not opening.is_pure)


class _Block(NamedTuple):
    """A block with its fences: `text[start:end]`. `closing` is the start of its closing fence's line; None without one."""

    opening: _Line
    start: int
    closing: int | None
    end: int


class _Scanned(NamedTuple):
    """The outermost closed blocks of a text, and the opening fences that no fence closes, both in order."""

    closed: list[_Block]
    unclosed: list[_Line]


def blocks(text: str) -> list[CodeBlock]:
    """The outermost closed blocks of a text, in order; an unclosed block does not hide those after it."""
    return [_as_code(text, block) for block in _scanned(text).closed]


def unclosed_block(text: str) -> CodeBlock | None:
    """The last block of a text, up to the text's end, if its fence is never closed and no block follows it."""
    closed, unclosed = _scanned(text)
    if not unclosed or (closed and closed[-1].start > unclosed[-1].start):
        return None
    return _as_code(text, _Block(unclosed[-1], unclosed[-1].block_start, None, len(text)))


def longer_block(text: str, block: CodeBlock, closing: int) -> CodeBlock:
    """The block as if the fence that stands in the line at `closing` closed it."""
    opening = next(line for line in _lines(text, block.start) if line.start >= block.start)
    end = text.find("\n", closing)
    return _as_code(text, _Block(opening, block.start, closing, len(text) if end < 0 else end))


def fenced(text: str) -> list[Span]:
    """The outermost blocks of a text with their last line breaks, in order; an unclosed one as far as it looks like code."""
    closed, unclosed = _scanned(text)
    if not closed and not unclosed:
        return []
    ends = [(block.start, min(block.end + text.startswith("\n", block.end), len(text))) for block in closed]
    starts = sorted([*(start for start, _ in ends), *(line.block_start for line in unclosed), len(text)])
    following = dict(pairwise(starts))
    open_ended = ((line.block_start, _code_end(text, line, following[line.block_start])) for line in unclosed)
    return sorted(Span(*span) for span in chain(ends, open_ended))


def is_open(text: str) -> bool:
    """Whether a fence of a text is never closed."""
    return bool(_scanned(text).unclosed)


def _scanned(text: str) -> _Scanned:
    """One pass over the fences. A fence that no later one could close opens nothing, so it hides none of those after it."""
    if "```" not in text and "~~~" not in text:  # the case of most traces
        return _Scanned([], [])
    lines = list(_lines(text))
    closed, opened, unclosed = list[_Block](), list[_Line](), list[_Line]()
    for line, reach in zip(lines, _reaches(lines), strict=True):
        if opened and line.closes(opened[-1]):
            opening = opened.pop()
            while closed and closed[-1].start > opening.start:
                closed.pop()
            end = line.end if not line.info else line.start + len(line.fence)
            closed.append(_Block(opening, opening.block_start, line.start - len(line.lead), end))
        elif line.opens(opened[-1] if opened else None):
            if reach >= len(line.fence):
                opened.append(line)
            elif not opened:
                unclosed.append(line)
    unclosed = sorted([*unclosed, *opened], key=lambda line: line.start)
    return _Scanned(closed, [line for line in unclosed if line.is_pure])


def _lines(text: str, start: int = 0) -> Iterator[_Line]:
    """The lines with a fence, from the one at `start` on; of two fences on a line, the first."""
    line_start, line_end = 0, -1
    for found in _FENCE.finditer(text, start):
        at = found.start()
        if at > line_end:
            line_start, line_end = text.rfind("\n", 0, at) + 1, text.find("\n", found.end())
            line_end = len(text) if line_end < 0 else line_end
        yield _Line(text[line_start:at], at, line_end, found[1], found[2])
        line_start = at  # behind a carriage return another fence may follow, before which there is this one


def _reaches(lines: Sequence[_Line]) -> list[int]:
    """For each line, the length of the longest fence of its kind behind it that may close a block."""
    longest, found = {"`": 0, "~": 0}, list[int]()
    for line in reversed(lines):
        kind = line.fence[0]
        found.append(longest[kind])
        if line.may_close:
            longest[kind] = max(longest[kind], len(line.fence))
    return found[::-1]


def _may_follow(tail: str) -> bool:
    """Whether this may stand behind a closing fence: end tokens, tags and brackets, or several words of prose after white space."""
    if _END_MATTER.fullmatch(tail):
        return True
    return tail[0].isspace() and len(tail.split()) > 1 and not set(tail) & set("={`")


def _code_end(text: str, opening: _Line, limit: int) -> int:
    """Where the code of an unclosed block ends: before a sentence, or the first blank line, up to `limit`, that no line of code follows."""
    end, blank = min(opening.end + 1, limit), False
    position = end
    while position < limit:
        line_end = text.find("\n", position, limit)
        line_end = limit if line_end < 0 else line_end + 1
        line = text[position:line_end]
        if not line.strip(" \t\r\n"):
            blank = True
        elif (blank or _is_sentence(line)) and not _CODE_LINE.match(_unindented(line, opening.column)):
            break
        else:
            end, blank = line_end, False
        position = line_end
    return end


def _is_sentence(line: str) -> bool:
    """Whether a line begins with a capitalised word, goes on with another one, and ends as sentences do; in time linear in the line."""
    first, end = _FIRST_WORD.match(line), len(line.rstrip()) - 2
    return first is not None and _LAST_WORD.match(line, max(0, end)) is not None and _NEXT_WORD.search(line, first.end(), end) is not None


def _unindented(line: str, columns: int) -> str:
    return line if line[:columns].strip(" \t") else line[columns:]


def _as_code(text: str, block: _Block) -> CodeBlock:
    opening = block.opening
    quotation, sign, within = (opening.lead if opening.is_pure else "").rpartition(">")
    code = text[opening.end + 1 : block.closing]
    if sign:
        code = re.sub(rf"(?m)^(?:[ \t]{{0,3}}>[ \t]?){{0,{quotation.count('>') + 1}}}", "", code)
    width = len(within) - bool(sign and within)
    if within.strip():  # a list marker, behind which models forget to indent the code
        width = min([width, *(len(line) - len(line.lstrip(" \t")) for line in code.split("\n") if line.strip())])
    return CodeBlock(block.start, block.end, opening.info, re.sub(rf"(?m)^[ \t]{{0,{width}}}", "", code))
