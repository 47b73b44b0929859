"""The lines of an answer's program, and which lines of a trace are copies or near copies of them. Nothing here parses or runs code.

Two lines are equal if they are the same after normalising (`normal`): white space at both ends, white space next to a character that is
neither letter, digit nor underscore, and a comment behind code do not count, and any other white space counts as one space. A `#` in a
string begins no comment; a line that is only a comment is compared as it is. Of a line of a trace the following may also surround the
code (`forms`): list bullets, line numbers, `>`, `>>>`, `...` and `|` before it, and backticks or quotation marks around it, with a
punctuation mark behind them. Nothing else is forgiven: other names, other operators, or other words on the line make another line.

Only lines with a letter, a digit or an underscore are compared, however short they are: a bracket alone says nothing, while many short
lines (`else:`, `n = 1`) together are the program.

Near copies are counted, not taken out, since their rules are guesses (`is_near`): a line that equals a line of the program but for
names that are consistently other ones, where both have at least 7 tokens (`def f(x):` has 6, and there are many of it), and a line
that holds a whole line of the program of at least 12 characters beside other text. Keywords, builtins and names behind a dot must be the
same; numbers and strings too.
"""

import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from keyword import iskeyword

from asap.spans import Span

LEAST = 8
"""Characters of a line by which `left` recognises an answer: shorter ones stand in many programs."""
_LEAST_INSIDE = 12
_LEAST_TOKENS = 7
_REMEMBERED = 4096  # lines: the cuts of a trace have the same ones

_LINE = re.compile(r"[^\r\n]+")
_STRING = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_BEFORE_COMMENT = re.compile(rf"((?:[^'\"#\\]|\\.|{_STRING})*)#")
_LOOSE = re.compile(r" ?([^\w ]) ?")
_LEAD = re.compile(r"(?:>+\s*|(?:[-*+•|]|\.\.\.|\d+[.):|]|\d+\s+\|)\s+)+")
_QUOTED = re.compile(r"(?:(`{1,3}|[\"'])(?P<plain>.+)\1|“(?P<curly>[^”]+)”)[.,;:!?]?")
_TOKEN = re.compile(rf"(?:[rbfuRBFU]{{1,2}})?(?:{_STRING})|\d[\w.]*|[^\W\d]\w*|[^\w\s]")
_NAME = re.compile(r"[^\W\d]\w*")
_BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True)
class CodeLines:
    """The normalised lines of an answer's program. `telling` are those by which `left` recognises it."""

    lines: frozenset[str]
    telling: frozenset[str]
    shapes: frozenset[tuple[str, ...]]
    inside: re.Pattern[str] | None

    @classmethod
    def of(cls, program: str, question: str) -> "CodeLines":
        """The lines of a program; those that stand anywhere in the question tell nothing about what a trace holds."""
        lines = frozenset(line for text in _LINE.findall(program) if re.search(r"\w", line := normal(text)))
        asked = "\n".join(map(normal, _LINE.findall(question)))
        telling = frozenset(line for line in lines if len(line) >= LEAST and line not in asked)
        shapes = frozenset(shape for line in lines if len(shape := _shape(line)) >= _LEAST_TOKENS)
        long = sorted(re.escape(line) for line in lines if len(line) >= _LEAST_INSIDE)
        return cls(lines, telling, shapes, re.compile(rf"(?<!\w)(?:{'|'.join(long)})(?!\w)") if long else None)

    def spans(self, text: str) -> list[Span]:
        """The lines of a text that are copies, without their line breaks."""
        return [Span(*line.span()) for line in _LINE.finditer(text) if self._copied(line[0])]

    def left(self, text: str) -> float | None:
        """The share of the telling lines that stand in a text; None if there are none."""
        found = self.telling.intersection(*[[form for line in _LINE.findall(text) for form in self._copied(line)]])
        return len(found) / len(self.telling) if self.telling else None

    def near(self, text: str) -> int:
        """The number of lines of a text that are near copies."""
        return sum(map(self.is_near, _LINE.findall(text)))

    def is_near(self, line: str) -> bool:
        """Whether a line is a near copy, or a copy."""
        found = forms(line)
        return any(_shape(form) in self.shapes or form in self.lines for form in found) or (
            self.inside is not None and self.inside.search(found[0]) is not None
        )

    def _copied(self, line: str) -> frozenset[str]:
        """The lines of the program that a line of a trace equals."""
        return self.lines.intersection(forms(line))


@lru_cache(_REMEMBERED)
def normal(line: str) -> str:
    """A line without what does not count."""
    code = _BEFORE_COMMENT.match(line)
    kept = code[1] if code and code[1].strip() else line
    return _LOOSE.sub(r"\1", " ".join(kept.split()))


@lru_cache(_REMEMBERED)
def forms(line: str) -> tuple[str, ...]:
    """A line of a trace, normalised as it is, without what stands before its code, and without quotation marks."""
    return tuple(dict.fromkeys(normal(text) for text in _unwrapped(line.strip())))


def _unwrapped(text: str) -> Iterator[str]:
    bare = _LEAD.sub("", text, count=1) if _LEAD.match(text) else text
    yield from (text, bare)
    for one in (text, bare):
        if found := _QUOTED.fullmatch(one):
            yield found["plain"] or found["curly"]


@lru_cache(_REMEMBERED)
def _shape(line: str) -> tuple[str, ...]:
    """The tokens of a normalised line, with numbered places for its own names."""
    names, shape, before = dict[str, str](), list[str](), ""
    for token in _TOKEN.findall(line):
        is_own = _NAME.fullmatch(token) and before != "." and not iskeyword(token) and token not in _BUILTINS
        shape.append(names.setdefault(token, f"name {len(names)}") if is_own else token)
        before = token
    return tuple(shape)
