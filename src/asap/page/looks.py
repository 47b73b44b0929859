"""One colour and one mark for each method, the same in every drawing, in light and in dark.

Methods without a look of their own (a user's, or an arm that is no method) get the spare ones, in the order of their names. Pages
with a script read their looks from here, too: as data, so that no second table has to agree with this one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

MarkShape = Literal["circle", "square", "diamond", "up", "down", "cross", "plus"]


class Look(NamedTuple):
    """Colours on light and on dark ground, and a mark."""

    light: str
    dark: str
    mark: MarkShape


LOOKS: Mapping[str, Look] = {
    "asap": Look("#b04a12", "#ee9d66", "circle"),
    "asap-fine": Look("#b5791c", "#e9b872", "up"),
    "asap-coarse": Look("#8f2f52", "#e58dab", "down"),
    "alignment": Look("#4a55b5", "#a6aef0", "diamond"),
    "first-token-entropy": Look("#bf4f86", "#f0a3cb", "square"),
    "mean-surprisal": Look("#2481a6", "#86cbe4", "down"),
    "step-entropy": Look("#6b4fa0", "#bba6ec", "up"),
    "leave-one-out": Look("#0e7f59", "#6fd0a8", "square"),
    "cut-after-answer": Look("#8f8712", "#d8d075", "plus"),
    "coverage": Look("#1f2fc4", "#6b7dff", "circle"),
    "random": Look("#3d7a35", "#9fce95", "cross"),
    "random-block": Look("#6d9a26", "#c0db7f", "plus"),
    "keep-head": Look("#9c3a2c", "#ec9482", "down"),
    "keep-tail": Look("#35506b", "#9db7d3", "up"),
    "keep-ends": Look("#7a6a58", "#c9b8a2", "diamond"),
    "longest-first": Look("#4f4f4f", "#c6c6c6", "square"),
    "functional-first": Look("#9a2fa0", "#e795ec", "circle"),
    "original": Look("#5d574e", "#b9b1a4", "square"),
    "zero-shot": Look("#99907f", "#8a8275", "plus"),
    "spirit": Look("#2a5b9c", "#8db6ec", "diamond"),
    "selective-context": Look("#7d4e86", "#d2a8da", "down"),
    "llmlingua2": Look("#1f6f6b", "#7ccfc8", "up"),
    "tokenskip": Look("#80700f", "#d3c069", "cross"),
}
_OWN_MARKS: Sequence[MarkShape] = ("cross", "plus", "square")
_OWN = ("spirit", "llmlingua2", "functional-first", "keep-head")
_SPARE = [LOOKS[_OWN[number % 4]]._replace(mark=_OWN_MARKS[number % 3]) for number in range(12)]  # neighbours differ in both
_SHAPES: Mapping[MarkShape, str] = {
    "circle": "M-4.4 0a4.4 4.4 0 1 0 8.8 0a4.4 4.4 0 1 0-8.8 0z",
    "square": "M-4-4h8v8h-8z",
    "diamond": "M0-5.4L5.4 0L0 5.4L-5.4 0z",
    "up": "M0-5L4.9 3.8H-4.9z",
    "down": "M0 5L4.9-3.8H-4.9z",
    "cross": "M-3.8-3.8L3.8 3.8M-3.8 3.8L3.8-3.8",
    "plus": "M-4.6 0H4.6M0-4.6V4.6",
}


def looks_of(methods: Iterable[str]) -> dict[str, Look]:
    """The look of each method."""
    names = sorted({*methods})
    own = [name for name in names if name not in LOOKS]
    spare = {name: _SPARE[number % len(_SPARE)] for number, name in enumerate(own)}
    return {name: LOOKS.get(name) or spare[name] for name in names}


def looks_in_order(methods: Sequence[str]) -> list[Look]:
    """The looks of several things of these methods: those of one method share its colour, and the second and later have another mark."""
    looks, marks, met, found = looks_of(methods), [*_SHAPES], Counter[str](), list[Look]()
    for method in methods:
        look = looks[method]
        found.append(look._replace(mark=marks[(marks.index(look.mark) + met[method]) % len(marks)]))
        met[method] += 1
    return found


def mark_path(look: Look) -> str:
    """The mark as the path of an SVG drawing, around the origin and about nine units wide."""
    return _SHAPES[look.mark]


def is_stroked(look: Look) -> bool:
    """Whether the mark is drawn by strokes alone."""
    return look.mark in ("cross", "plus")
