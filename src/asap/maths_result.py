"""The result that a mathematical answer states, as a text and as a number.

The last `\\boxed{…}` counts; without one, a number is what follows the last `####`, as in GSM8K's solutions, or else the last of the
answer. In a number, thousands separators (`,`, `{,}`, `\\,`, `\\!`, thin spaces), currency and percent signs, units, a trailing period and
zeros do not count; `\\frac{1}{2}`, `1/2` and `3\\frac{1}{2}` are numbers, and so is the full hour 2:00. A box that holds more than a number
and its unit (`\\sqrt{5}`, `5!`, `5x`, `5k`) holds no number.
What this does not do: algebra, numbers in words, times with minutes, sums of several boxes.
"""

import re
from fractions import Fraction
from itertools import islice
from typing import NamedTuple

from asap.maths_spelling import plainly_spelled

_BOXED, _BRACE = re.compile(r"\\boxed\s*\{"), re.compile(r"[{}]")
_MARK = "####"
_CONCLUDES = re.compile(r"^[^\w\n]{0,10}(?:(?:so|thus|hence|therefore),? )?(?:the )?(?:final )?answer\b", re.MULTILINE | re.IGNORECASE)
_LONGEST = 200  # characters of a number
LATEX_WORDS = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]*)\}")
"""Words in mathematics."""
_UNIT_POWER = r"\s?\^\s?(?:\{\s?[0-9]\s?\}|[0-9])"
_UNIT = re.compile(rf"{LATEX_WORDS.pattern}(?:{_UNIT_POWER})?")
_POWER = re.compile(rf"(?<=[A-Za-z]){_UNIT_POWER}")
_SEPARATOR = re.compile(r"(?<=[0-9])(?:,?\\[,!;: ]\s?|\{,\}\s?|[\u2009\u202f\u00a0])(?=[0-9]{3}(?![0-9]))")
_NO_MATTER = re.compile(r"\\?[$%]|\\(?:left|right|displaystyle)(?![a-zA-Z])|\\[,!;:]|~|\^\s?(?:\{\s?\\circ\s?\}|\\circ)|°|\*\*")
_FULL_HOUR = re.compile(r"(?<![0-9:])([0-9]{1,2}):00(?![0-9:])")
_EQUALS = re.compile(r"=|\\approx(?![a-zA-Z])|≈")
_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
_NUMBER = re.compile(
    rf"(?P<sign>(?<![\w)\]}}.])-\s?)?(?<![\w.])(?:(?P<whole>[0-9]{{1,9}})\s?(?:\\[,; ])?(?=\\[dt]?frac|\s[0-9]{{1,9}}\s?/))?\s?"
    rf"(?:\\[dt]?frac\s?(?:\{{\s?(?P<above>-?{_DIGITS})\s?\}}\s?\{{\s?(?P<below>{_DIGITS})\s?\}}|(?P<up>[0-9])(?P<down>[0-9]))"
    rf"|(?P<over>{_DIGITS})\s?/\s?(?P<under>{_DIGITS})|(?P<plain>{_DIGITS}))"
)
_NO_UNIT = re.compile(
    r"(?<![A-Za-z])(?:minus|negative|not|half|hundred|thousand|million|billion|trillion|root|sqrt|log|ln|sin|cos|tan|[kKMBxyz])(?![A-Za-z])"
)
"""Words that make another number of the one beside them."""
_BEFORE = re.compile(r"(?:[\s{(\[\"'+]|\\[ ({\[]|[A-Za-z]{2,}[.:]?(?![A-Za-z(]))*+")
_BEHIND = re.compile(
    r"(?:[\s{}()\[\]\"'.,;:/]|\\[ )}\]]|\\(?:cdot|quad)(?![A-Za-z])|(?<![A-Za-z])(?:[ap]\.?m\.?|(?<=\s)[A-Za-z]{2,}|[A-Za-z]{3,}"
    r"|[mcdk]m|[mk]g|lbs?|oz|ft|in|yd|mi|m[lL]|hr|st|nd|rd|th|[kMGT][Bb]|[mgshlL]|(?<=\s)a(?=\s))(?![A-Za-z])|[\u3040-\u9fff])*+"
)
"""What may stand before and behind the number of a box: brackets and units."""
_LETTER = re.compile(r"\(?([A-Z])\)?")
_SPACING = re.compile(
    r"(?<=[0-9])(?P<apart>(?:\\[,; ]|~|\s)+)(?=[0-9])|\\(?:left|right|displaystyle)(?![a-zA-Z])|\\[,!;: ]|~|\\[()\[\]]|\\?\$|\s+"
)


class Number(NamedTuple):
    """A number that an answer states, and its words for it."""

    value: Fraction
    text: str


def last_boxed(answer: str) -> str | None:
    """The last `\\boxed{...}` with balanced braces, verbatim."""
    openings = list(_BOXED.finditer(answer))
    if not openings:
        return None
    ends, opened = dict[int, int](), list[int]()
    for brace in _BRACE.finditer(answer, openings[0].start()):
        if brace[0] == "{":
            opened.append(brace.start())
        elif opened:
            ends[opened.pop()] = brace.end()
    return next((answer[found.start() : end] for found in reversed(openings) if (end := ends.get(found.end() - 1))), None)


def inside(boxed: str) -> str:
    """What stands in a `\\boxed{…}`."""
    return boxed[boxed.index("{") + 1 : -1].strip()


def after_mark(answer: str) -> str | None:
    """What follows the last `####` on its line; None without one."""
    _, mark, after = answer.rpartition(_MARK)
    return after.strip().partition("\n")[0].strip() if mark else None


def stated_number(answer: str, *, cut_off: bool = False) -> Number | str | None:
    """The number that an answer states: boxed, marked, or its last. A text where a box or mark holds no single number; None without any.

    Of an answer that was `cut_off`, the last number is none that it ends in.
    """
    boxed = last_boxed(answer)
    if boxed is not None:
        return _number_alone(inside(boxed)) or inside(boxed)
    if (text := after_mark(answer)) is not None:
        return single_number(text) or text
    numbers = [] if cut_off else numbers_in(answer)
    return numbers[-1] if numbers else None


def concluded_number(answer: str) -> Number | None:
    """The number that an answer without a box states, where it says so: behind `####` or a last line "Answer: …" with no other number."""
    concludes = [found.end() for found in _CONCLUDES.finditer(answer)]
    said = after_mark(answer) or (answer[concludes[-1] :] if concludes else None)
    stated = stated_number(answer)
    single = None if said is None else single_number(said)
    return single if single and isinstance(stated, Number) and single.value == stated.value else None


def single_number(text: str) -> Number | None:
    """The only number in a text, of an equation the one on its right side; None if there are several or none."""
    single = _single(text)
    return single[0] if single else None


def _number_alone(text: str) -> Number | None:
    """The only number in a text that holds nothing else but its unit and currency."""
    text = plainly_spelled(text)
    single = _single(text)
    if single is None or _NO_UNIT.search(_EQUALS.split(text)[-1]):
        return None
    number, before, behind = single
    return number if _BEFORE.fullmatch(before) and _BEHIND.fullmatch(behind) else None


def _single(text: str) -> tuple[Number, str, str] | None:
    """The only number in a text or on the right side of an equation, with what stands before and behind it there."""
    for words in (" ", r"\1 "):  # units may hold numbers, and a number may be written as text
        plain = _plain_digits(_EQUALS.split(_UNIT.sub(words, text))[-1])
        found = [*islice(((number, one) for one in _NUMBER.finditer(plain) if (number := _number(one))), 2)]
        if len(found) == 1:
            number, one = found[0]
            return number, plain[: one.start()], plain[one.end() :]
        if found:
            return None
    return None


def numbers_in(text: str) -> list[Number]:
    """The numbers in a text, in order."""
    return [number for one in _NUMBER.finditer(_plain_digits(text)) if (number := _number(one))]


def _plain_digits(text: str) -> str:
    """A text without what does not count in numbers."""
    plain = _NO_MATTER.sub("", _POWER.sub("", _SEPARATOR.sub(",", text.replace("−", "-"))))
    return _FULL_HOUR.sub(r"\1", plain)


def _number(found: re.Match[str]) -> Number | None:
    value = _value(found)
    return None if value is None else Number(value, found[0].strip())


def _value(found: re.Match[str]) -> Fraction | None:
    """The value of a number; None for one that is too long or divides by zero."""
    if len(found[0]) > _LONGEST:
        return None
    above = _fraction(found["plain"] or found["above"] or found["over"] or found["up"])
    below = _fraction(found["below"] or found["under"] or found["down"] or "1")
    if not below:
        return None
    value = above / below + Fraction(found["whole"] or 0)
    return -value if found["sign"] else value


def _fraction(digits: str) -> Fraction:
    return Fraction(digits.replace(",", ""))


def same_text(one: str, other: str) -> bool:
    """Whether two results are the same but for spacing, dollar signs, the words around text, and the parentheses of a letter."""
    first, second = _plain(one), _plain(other)
    letters = _LETTER.fullmatch(first), _LETTER.fullmatch(second)
    return first == second or bool(letters[0] and letters[1] and letters[0][1] == letters[1][1])


def _plain(text: str) -> str:
    words = LATEX_WORDS.sub(r"\1", text).replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    return _SPACING.sub(lambda found: " " if found["apart"] else "", words).rstrip(".")  # 1 1/2 is not 11/2
