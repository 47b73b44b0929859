"""Cutting inside steps: the units of a trace that a budget keeps, and the characters kept with them.

A unit is a visible piece of text: a token, a word, a phrase or a sentence. The white space between units belongs to none. Between two
kept units the strongest white space of the gap is kept (the most line breaks; of equals the last), which keeps lines, paragraphs and
words apart.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asap.characters import Ints, codes, first_shown
from asap.lm.tokens import TokenCounter
from asap.lm.word_cache import by_words
from asap.spans import Span

_WORD, _NO_WORD = re.compile(r"\w"), re.compile(r"\W")
_GUESSES = 12  # interpolation steps in the search for the cut; then it halves

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Units:
    """The units of a trace and their scores, in columns: enough to cut to any budget without a model.

    `lengths` are in characters, each from the end of the unit before, including white space, and add up to the trace. `scores`:
    higher = keep (None: not a number, removed last). Methods that read a trace in `chunks` store the number of units in each chunk.
    """

    lengths: list[int]
    scores: list[float | None]
    chunks: list[int] | None = None

    def as_row(self) -> dict[str, Any]:
        """The JSON object, without the unused column."""
        row = {"lengths": self.lengths, "scores": self.scores}
        return row if self.chunks is None else {**row, "chunks": self.chunks}


class Laid(NamedTuple):
    """The positions of the units of a trace, in characters without white space, and the strength of the white space after each unit
    but the last: its number of line breaks, -1 without white space.
    """

    text: str
    starts: Ints
    ends: Ints
    breaks: Ints

    @classmethod
    def of(cls, text: str, lengths: list[int]) -> "Laid":
        """The units with these lengths."""
        edges = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        starts, ends = np.minimum(first_shown(text)[edges[:-1]], edges[1:]), edges[1:]
        starts[:1] = 0
        lines = np.concatenate([[0], np.cumsum(codes(text) == ord("\n"))])
        breaks = np.where(starts[1:] > ends[:-1], lines[starts[1:]] - lines[ends[:-1]], -1)
        return cls(text, starts, ends, breaks)

    def spans(self, kept: Bools) -> list[Span]:
        """The kept characters: the kept units, and between two of them the strongest white space."""
        if kept.all():
            return [Span(0, len(self.text))]
        stay = np.flatnonzero(kept)
        if not len(stay):
            return []
        numbers = np.arange(len(self.breaks))
        strongest = (self.breaks + 1) * len(kept) + numbers
        gaps = np.maximum.reduceat(strongest[: stay[-1]], stay[:-1]) % len(kept) if len(stay) > 1 else stay[:0]
        between = np.stack([self.ends[gaps], self.starts[gaps + 1]], axis=1)
        for place in np.flatnonzero((between[:, 0] == between[:, 1]) & (np.diff(stay) > 1)).tolist():
            between[place] = self._divider(int(self.ends[stay[place]]), int(self.starts[stay[place + 1]]))
        edges = np.empty((2 * len(stay) - 1, 2), np.int64)
        edges[::2] = np.stack([self.starts[stay], self.ends[stay]], axis=1)
        edges[1::2] = between
        edges = edges[edges[:, 0] < edges[:, 1]]
        new = np.concatenate([[True], edges[1:, 0] != edges[:-1, 1]])
        ends = edges[:, 1][np.concatenate([new[1:], [True]])]
        return list(map(Span, edges[new, 0].tolist(), ends.tolist()))

    def _divider(self, end: int, start: int) -> tuple[int, int]:
        """A character of a gap without white space that keeps two words apart; an empty span if none is needed."""
        if not (_WORD.match(self.text, end - 1) and _WORD.match(self.text, start)):
            return end, end
        found = _NO_WORD.search(self.text, end, start)
        return found.span() if found else (end, end)


def tile(ends: Ints, length: int) -> list[int]:
    """The `lengths` of units with these ends in a text of `length` characters; the last unit includes the text after it."""
    edges = np.concatenate([[0], ends[:-1], [length]])
    return np.diff(edges).tolist()  # type: ignore[no-any-return]


def means_over(units: Ints, starts: Ints, values: Floats) -> Floats:
    """For each unit (given by its start) the mean over the tokens that start in it; a unit in which no token starts gets the value of
    the token before. `starts` are the positions of the tokens' first visible characters. NaN if no value is known.
    """
    known = np.isfinite(values)
    starts, values = starts[known], values[known]
    if not len(values) or not len(units):
        return np.full(len(units), np.nan)
    owner = np.clip(np.searchsorted(units, starts, side="right") - 1, 0, None)
    counts = np.bincount(owner, minlength=len(units))
    sums = np.bincount(owner, values, minlength=len(units))
    before = values[np.clip(np.searchsorted(starts, units, side="right") - 1, 0, None)]
    return np.where(counts > 0, sums / np.maximum(counts, 1), before)


def fitted(units: Units, laid: Laid, tokens: TokenCounter, *, before: int, limit: int) -> Bools:
    """The units kept after removing the lowest-scored ones until the trace fits.

    Counting is exact; the search guesses the cut from the number of kept characters and the characters per token.
    """
    lengths = np.array(units.lengths, np.int64)
    order = np.argsort(_worth(units, lengths), kind="stable")
    left = len(laid.text) - np.concatenate([[0], np.cumsum(lengths[order])])

    def without(removed: int) -> Bools:
        kept = np.ones(len(order), np.bool_)
        kept[order[:removed]] = False
        return kept

    low, high, guesses = 0, len(order) - 1, 0  # too many tokens at `low`; at `high` they fit, or one unit is left
    at, count = 0, before
    while high - low > 1:
        wanted = limit * int(left[at]) / max(1, count)
        guess = int(np.searchsorted(-left, -wanted)) if guesses < _GUESSES else (low + high) // 2
        at, guesses = min(max(guess, low + 1), high - 1), guesses + 1
        count = by_words(tokens).count("".join([laid.text[start:end] for start, end in laid.spans(without(at))]))
        low, high = (at, high) if count > limit else (low, at)
    return without(high)


def _worth(units: Units, lengths: Ints) -> Floats:
    """The sort key of the removal order: the score or, with chunks, the share of the chunk's characters in lower-scored units, so that
    each chunk loses the same share.
    """
    scores = np.array([np.inf if score is None else score for score in units.scores], np.float64)
    if units.chunks is None:
        return scores
    worth = np.empty(len(scores))
    for start, end in pairwise(np.cumsum([0, *units.chunks]).tolist()):
        order = start + np.argsort(scores[start:end], kind="stable")
        sums = np.cumsum(lengths[order])
        worth[order] = sums / max(1, int(sums[-1])) if len(sums) else sums
    return worth
