"""The boxed result of a mathematical answer, and where a trace states it.

The result is what stands in the box, without units and words in `\\text{…}`, dollar and percent signs, degrees and spacing, and of an
equation the right side; words alone are a result, too. A trace states it where it stands as a whole (`BoxedResult.spans`): a number not
inside a longer one (42 is not in 421, 3.42, 42,000 or -42, nor in a name such as x42 or an ordinal such as 42nd), a word not inside a
longer one. It may have thousands separators, other spacing, `\\dfrac` for `\\frac`, a slash for a fraction, √ for `\\sqrt`, π for
`\\pi`, and a word of three letters or more any case. A box, or dollar signs, around nothing but the result belong to it.

Near copies (`BoxedResult.near`) are other spellings of the same number: 42.0 or 0.75 for 3/4, a fraction only of what is not whole.
What this does not do: algebra. Results that are equal by calculation are others, and so are numbers in words.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from asap.maths_result import LATEX_WORDS
from asap.spans import Span

_LONGEST = 200  # characters; what is longer is looked for as it is written
_NO_MATTER = re.compile(r"\\(?:left|right|displaystyle)(?![a-zA-Z])|\\[,;:! ]|~|\\?[$%]|\^\s*(?:\{\s*\\circ\s*\}|\\circ)|°")
_TOKEN = re.compile(r"\\[a-zA-Z]+|\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|[^\W\d_]+|\S")
_DEEPEST = 2  # each level doubles the pattern
_FRACTION = re.compile(r"\\[dt]?frac")
_TIMES = r"(?:\\cdot|\\times|[*·×])"
_SPELT = {"-": "[-−]", "\\pi": r"(?:\\pi|π|pi)", "\\infty": r"(?:\\infty|∞)", "\\cdot": _TIMES, "\\times": _TIMES}
_SEPARATOR = "(?:,|\\{,\\}|,?\\\\[,!]|[\u2009\u202f])?"
_NO_SIGN = r"(?<![\s(=\[{,:$][-−])"
_NO_MORE = r"(?!\d|\.\d|,\d{3}(?!\d)|(?:st|nd|rd|th)\b)"
_DIGITS = r"\d{1,40}"  # a number of thousands of digits is none that int() takes
_WHOLE = rf"{_DIGITS}(?:,\d{{3}}){{0,12}}(?:\.{_DIGITS})?(?!,\d{{3}}|\.\d)"
_NUMBER = re.compile(
    rf"(?P<sign>(?<![\w)\]}}])[-−])?(?<![\w.])(?:\\[dt]?frac\s*\{{({_DIGITS})\}}\s*\{{({_DIGITS})\}}|({_DIGITS})\s*/\s*({_DIGITS})|({_WHOLE}))(?!\d)"
)


@dataclass(frozen=True)
class BoxedResult:
    """The pattern of a result in a trace, and its value if it is a number."""

    pattern: re.Pattern[str]
    value: Fraction | None

    @classmethod
    def of(cls, boxed: str) -> "BoxedResult | None":
        """The result in `\\boxed{…}`; None for an empty one."""
        core = _core(boxed[boxed.index("{") + 1 : -1])
        if not core:
            return None
        plain = _bounded(core)
        wrapped = (rf"\\boxed\s*\{{\s*{plain}\s*\}}", rf"(?<!\\)\$\s*{plain}\s*\$", rf"\\\(\s*{plain}\s*\\\)")
        found = _NUMBER.fullmatch(core)
        return cls(re.compile("|".join((*wrapped, plain))), _value(found) if found else None)

    def spans(self, text: str) -> list[Span]:
        """Where a text states the result."""
        return [Span(*found.span()) for found in self.pattern.finditer(text)]

    def left(self, text: str) -> float:
        """1 if a text states the result, else 0."""
        return float(self.pattern.search(text) is not None)

    def near(self, text: str) -> int:
        """The number of places where a text states the same number otherwise."""
        if self.value is None:
            return 0
        is_whole = self.value.denominator == 1
        found = (one for one in _NUMBER.finditer(text) if one[6] or not is_whole)
        return sum(_value(one) == self.value for one in found)


def _core(inside: str) -> str:
    """What counts of the text in a box."""
    without_words = _bare(LATEX_WORDS.sub(" ", inside))
    core = without_words if re.search(r"\w", without_words) else _bare(LATEX_WORDS.sub(r"\1", inside))
    return core.rpartition("=")[2].strip()


def _bare(text: str) -> str:
    return _NO_MATTER.sub("", text.replace("{,}", ",").replace("−", "-")).strip(" \t\r\n.,;")


def _value(found: re.Match[str]) -> Fraction | None:
    whole = found[6]
    above, below = (found[2], found[3]) if found[2] else (found[4], found[5])
    if not whole and not int(below):
        return None
    value = Fraction(whole.replace(",", "")) if whole else Fraction(int(above), int(below))
    return -value if found["sign"] else value


def _bounded(core: str) -> str:
    """A pattern for an expression that is not a part of a longer number or word."""
    start = r"(?<![\w)\]}])" if core[0] == "-" else rf"(?<![\w.]){_NO_SIGN}"
    if re.match(r"\d{3}(?!\d)", core):
        start += r"(?<!\d,)(?<!\d\{,\})"  # the end of a longer number
    end = r"(?!\w)" if re.search(r"[^\W\d]$", core) else _NO_MORE if core[-1].isdigit() or core[-1] == "}" else ""
    if len(core) > _LONGEST:
        return start + r"\s+".join(map(re.escape, core.split())) + end
    return f"{start}[-−]{_spelt(core[1:])}{end}" if core[0] == "-" else start + _spelt(core) + end


def _spelt(text: str, depth: int = 0) -> str:
    """A pattern for the spellings of an expression; what is nested more deeply than a fraction of roots has one spelling."""
    return r"\s*".join(_parts(text, depth))


def _parts(text: str, depth: int) -> Iterator[str]:
    at = 0
    while found := _TOKEN.search(text, at):
        token, at = found[0], found.end()
        if _FRACTION.fullmatch(token) and depth < _DEEPEST:
            above, at = _argument(text, at)
            below, at = _argument(text, at)
            over, under = _spelt(above, depth + 1), _spelt(below, depth + 1)
            slashed = rf"\(?{over}\)?\s*/\s*\(?{under}\)?"
            yield rf"(?:\\[dt]?frac\s*\{{?\s*{over}\s*\}}?\s*\{{?\s*{under}\s*\}}?|{slashed})"
        elif token == "\\sqrt" and depth < _DEEPEST and not text.startswith("[", at):
            argument, at = _argument(text, at)
            inside = _spelt(argument, depth + 1)
            yield rf"(?:\\sqrt\s*\{{?\s*{inside}\s*\}}?|(?:√|sqrt)\s*\(?{inside}\)?)"
        elif token[0].isdecimal():
            yield _digits(token)
        elif len(token) > 2 and token.isalpha():
            yield f"(?i:{re.escape(token)})"
        else:
            yield _SPELT.get(token, re.escape(token))


def _argument(text: str, at: int) -> tuple[str, int]:
    """What a command is about, in braces or the next character, and where it ends."""
    while text[at : at + 1].isspace():
        at += 1
    if not text.startswith("{", at):
        return text[at : at + 1], at + 1
    depth = 0
    for place in range(at, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[at + 1 : place], place + 1
    return text[at + 1 :], len(text)


def _digits(number: str) -> str:
    """A pattern for a number, with or without thousands separators."""
    whole, dot, rest = number.replace(",", "").partition(".")
    first = len(whole) % 3 or 3
    groups = [whole[:first], *(whole[at : at + 3] for at in range(first, len(whole), 3))]
    return _SEPARATOR.join(groups) + (rf"\.{rest}" if dot else "")
