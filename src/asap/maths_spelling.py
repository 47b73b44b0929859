r"""Spellings of a result that readers of LaTeX misread, in the spelling that they read.

    180°, 180º, 180\degree            180^\circ              20°C, 20^\circ C          20: units do not count
    1 000, 1\,000, 1 000 000.5        1000, 1000000.5        groups of exactly three digits behind one to three
    1 1/2, -2\,3/4                    1\frac{1}{2}           an integer, a space, a fraction
    1e3, 2.5E6, 5 \text{ million}     1000, 2500000, 5000000
    ½, 1½                             \frac{1}{2}            x², 10⁻³                  x^{2}, 10^{-3}
    √2, √x, √(x+1)                    \sqrt{2}               ∅, \varnothing, ∞, ∈, ·   \emptyset, \infty, \in, \cdot
    \text{12 cm}, 12 cm^2, €12        12 with its unit       12\frac{\text{m}}{\text{s}}   12\text{m/s}
    \mathbf{12}, \boldsymbol{12}      {12}                   \lbrace, \\[4pt]          \{, \\

What may mean two things stays as it is: 12 125/200 (a mixed number or thousands), 2e-3 (a power of ten or two e less 3), 3,14 (a decimal
comma or two numbers), an en dash (a range or a difference), \sqrt13 (to LaTeX the root of 1, and a 3).
"""

import re
from decimal import Decimal
from math import prod
from unicodedata import normalize

_SPACES = r"(?:\\[,;:! ]|~|[ \u00a0\u2007-\u200a\u202f])+"
_END = r"(?![a-zA-Z])"
_DEGREE = rf"(?:\^\s?\{{\s?(?:°|º|\\circ|\\degree)\s?\}}|\^\s?\\circ{_END}|\^?\s?(?:°|º|\\degree{_END}))"
_TEXT = r"\\(?:text|textbf|textrm|mathrm|mbox)\s?\{"
_FEW_DIGITS = r"(?<![\w.,\\}])(?:[0-9]{1,3}(?:,[0-9]{3}){1,4}|[0-9]{1,12})(?:\.[0-9]{1,12})?"
_FRACTION = re.compile("[¼-¾⅐-⅞]")
_POWER = re.compile("[⁺⁻]?[⁰¹²³⁴-⁹]+")
_SPELLINGS = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        (rf"(?:(?<=\{{)|^){_TEXT}\s?(-?{_FEW_DIGITS})\s?(°|º|\\?%)?(?=[^{{}}0-9]*\}})", r"\1\2\\text{ "),
        (rf"\\[dt]?frac\s?\{{\s?{_TEXT}([^{{}}]*)\}}\s?\}}\s?\{{\s?{_TEXT}([^{{}}]*)\}}\s?\}}", r"\\text{\1/\2}"),
        (rf"(?<=[0-9])(?:{_SPACES})?(?:mm|cm|dm|km|ft|in|yd|mi)\s?\^\s?(?:\{{[23]\}}|[23])(?!\w)", ""),
        (rf"{_DEGREE}\s?[CF]{_END}", ""),
        (_DEGREE, r"^\\circ "),
        (rf"[€£¥₹]|\\(?:euro|pounds){_END}", ""),
        (rf"∅|\\varnothing{_END}", r"\\emptyset "),
        ("∞", r"\\infty "),
        ("∈", r"\\in "),
        ("[·⋅]", r"\\cdot "),
        ("[⁄∕]", "/"),
        (r"√\s?(?=\{)", r"\\sqrt"),
        (r"√\s?(?:([0-9]+(?:\.[0-9]+)?|[a-zA-Z])|\(([^()√]*)\))", r"\\sqrt{\1\2}"),
        (rf"\\(?:mathbf|boldsymbol|bm){_END}", ""),
        (rf"\\lbrace{_END}", r"\\{"),
        (rf"\\rbrace{_END}", r"\\}"),
        (r"\\\\\[[0-9.]{1,9}\s?(?:pt|em|ex|mm|cm)\]", r"\\\\ "),
    )
)
_SPACED = re.compile(rf"(?<![\w.,\\])([0-9]++(?:{_SPACES}[0-9]++)++)(?:\s?/\s?([0-9]++)(?!\w|[.,][0-9]))?+(\s?/|,[0-9])?")
_SCIENTIFIC = re.compile(rf"{_FEW_DIGITS}[eE][0-9]{{1,2}}(?!\w|\.[0-9])")
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SCALE = "|".join(_SCALES)
_SCALED = re.compile(rf"({_FEW_DIGITS})(?:{_SPACES})?({_TEXT}\s?)?((?:{_SCALE})(?:\s(?:{_SCALE}))?){_END}")


def plainly_spelled(result: str) -> str:
    """A result, such as the content of a box, in the spelling that is read."""
    text = _FRACTION.sub(lambda found: f"\\frac{{{normalize('NFKC', found[0]).replace('⁄', '}{')}}}", result)
    text = _POWER.sub(lambda found: f"^{{{normalize('NFKC', found[0]).replace('−', '-')}}}", text)
    for pattern, plain in _SPELLINGS:
        text = pattern.sub(plain, text)
    text = _SPACED.sub(_unspaced, text)
    text = _SCIENTIFIC.sub(lambda found: f"{Decimal(found[0].replace(',', '')):f}", text)
    return _SCALED.sub(_multiplied, text)


def _unspaced(found: re.Match[str]) -> str:
    """Numbers between which only spaces stand, as thousands or a mixed number; as they are where they are neither, or may be both."""
    if found[3]:
        return found[0]
    groups = re.split(_SPACES, found[1])
    below, above = found[2], groups.pop() if found[2] else ""
    if len(groups) > 1 and (len(groups[0]) > 3 or any(len(group) != 3 for group in groups[1:])):
        return found[0]
    if not below:
        return "".join(groups)
    return found[0] if len(above) == 3 else f"{''.join(groups)}\\frac{{{above}}}{{{below}}}"


def _multiplied(found: re.Match[str]) -> str:
    """A number with the words behind it, such as "5 hundred thousand", in digits."""
    scale = prod(10 ** _SCALES[word] for word in found[3].split())
    return f"{Decimal(found[1].replace(',', '')) * scale:f}{found[2] or ''}"
