"""Exact token counts of a text whose parts change, for any tokenizer: only what stands around a change is tokenised again.

That begins and ends where a token does. Where the first and the last of its tokens come out as they were, those beyond stay too; where
they do not, more is tokenised, in the end the whole text. For BPE this is exact: the only tokens that it gives a text are those of which
each two neighbours are what it gives for their own text, and a pair is either read now or was before. What cuts a text into words begins
anew at each.

`RetokenizedTrace` counts the kept steps of a trace so, with or without marks for those that are gone. It takes two to three times as long
as `joined_tokens`, which assumes more.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise, takewhile
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asap.lm.tokens import Encoded, TokenCounter
from asap.lm.word_cache import by_words
from asap.prune.fine.kept_steps import KeptSteps
from asap.spans import Span
from asap.steps import Separators, keep_steps

AROUND, WHOLE = 64, 1 << 40  # characters beside a change that are read again at first; all of them
_MORE = 4  # times as many, if other tokens come out at the ends
_ALIKE = 4  # tokens in a row that have to come out as they were
_EDGE = 8  # this part of the characters at an open end is not compared: text is missing beside them

_Token = tuple[int, int]
"""Where a token starts, and its id."""


class _Side(NamedTuple):
    """What stands on one side of a change, out to the start of some token: the parts in order, with their tokens and their text.

    The outermost part may be read in part only: `cut` of its tokens lie to the left of where it is divided, which before a change is the
    character `at`. `open`: there is more text beyond; otherwise the side reaches the end of the text.
    """

    parts: list[int]
    tokens: list[_Token]
    text: str
    cut: int = 0
    at: int = 0
    open: bool = False


class Retokenized:
    """A text in parts, none of them empty at first: `total` is its number of tokens, which `change` updates."""

    def __init__(self, parts: Sequence[str], tokens: TokenCounter, around: int) -> None:
        self._texts, self._tokens, self._around = [*parts], tokens, around
        self._filled = KeptSteps(len(parts))
        text = "".join(parts)
        starts, ids = _starts_and_ids(by_words(tokens).encode(text), text)
        self.total = len(ids)
        begins = [*accumulate(map(len, parts), initial=0)][:-1]
        firsts = [*starts.searchsorted(begins).tolist(), self.total]
        firsts[0] = 0
        self._ids = [array("q", ids[first:last].tobytes()) for first, last in pairwise(firsts)]
        own = zip(begins, pairwise(firsts), strict=True)
        self._starts = [array("q", (starts[first:last] - begin).tobytes()) for begin, (first, last) in own]

    def change(self, texts: Mapping[int, str]) -> int:
        """The total after some parts have become other texts. All parts between them are among them, or are empty."""
        texts = {part: text for part, text in sorted(texts.items()) if text != self._texts[part]}
        around = self._around
        while texts and not self._read(texts, around):
            around *= _MORE
        return self.total

    def _read(self, texts: Mapping[int, str], around: int) -> bool:
        """Read what stands around a change, and keep its tokens; False if those at the ends are not the ones that were there."""
        left, right = self._before(min(texts), around), self._behind(max(texts), around)
        middle = "".join(texts.values())
        text, behind = left.text + middle + right.text, len(left.text) + len(middle)
        starts, ids = _starts_and_ids(self._tokens.encode(text), text)
        new = [*zip(starts.tolist(), ids.tolist(), strict=True)]
        old = [(behind + start, token) for start, token in right.tokens]
        first, last = len(left.text) // _EDGE * left.open, len(text) - len(right.text) // _EDGE * right.open
        old_first, new_first = bisect_left(left.tokens, (first,)), bisect_left(new, (first,))
        old_last, new_last = bisect_left(old, (last,)), bisect_left(new, (last,))
        at_left = _alike(left.tokens[old_first:], new[new_first:])
        at_right = _alike(reversed(old[:old_last]), reversed(new[:new_last]))
        if (left.open and at_left < _ALIKE) or (right.open and at_right < _ALIKE):
            return False
        self._keep(texts, left, right, [*left.tokens[:old_first], *new[new_first:new_last], *old[old_last:]])
        return True

    def _keep(self, texts: Mapping[int, str], left: _Side, right: _Side, found: list[_Token]) -> None:
        """Let parts have other texts, and they and those beside them the tokens that were found."""
        for part, text in texts.items():
            if bool(text) != bool(self._texts[part]):
                (self._filled.insert if text else self._filled.remove)(part)
            self._texts[part] = text
        begin, first, parts = -left.at, 0, [*left.parts, *texts, *right.parts]
        for part in parts:
            end = begin + len(self._texts[part])
            last = bisect_left(found, (end,), first) if part != parts[-1] else len(found)
            ids, starts = self._ids[part], self._starts[part]
            stay = slice(left.cut if left.open and part == parts[0] else 0, right.cut if right.open and part == parts[-1] else len(ids))
            self.total += last - first - len(ids[stay])
            ids[stay] = array("q", [token for _, token in found[first:last]])
            starts[stay] = array("q", [start - begin for start, _ in found[first:last]])
            begin, first = end, last

    def _before(self, part: int, around: int) -> _Side:
        """What stands before a part: so many characters, and on to the start of a token."""
        parts, cut = list[int](), -1
        while cut < 0 and (part := self._filled.before(part)) >= 0:
            parts.append(part)
            cut = bisect_right(self._starts[part], len(self._texts[part]) - around) - 1
            around -= len(self._texts[part])
        parts.reverse()
        if cut < 0:
            return self._side(parts)
        return self._side(parts, cut, self._starts[parts[0]][cut], first=slice(cut, None))

    def _behind(self, part: int, around: int) -> _Side:
        """What stands behind a part, likewise."""
        parts = list[int]()
        while (part := self._filled.behind(part + 1)) < self._filled.count:
            parts.append(part)
            cut = bisect_left(self._starts[part], around)
            if cut < len(self._starts[part]):
                return self._side(parts, cut, self._starts[part][cut], last=slice(cut))
            around -= len(self._texts[part])
        return self._side(parts)

    def _side(self, parts: list[int], cut: int = 0, at: int = 0, *, first: slice | None = None, last: slice | None = None) -> _Side:
        """The parts, of whose first or last only some tokens count."""
        tokens, pieces, position = list[_Token](), list[str](), -at if first else 0
        for part in parts:
            own = first if first and part == parts[0] else last if last and part == parts[-1] else slice(None)
            tokens += zip((position + start for start in self._starts[part][own]), self._ids[part][own], strict=True)
            pieces.append(self._texts[part][at:] if own is first else self._texts[part][:at] if own is last else self._texts[part])
            position += len(self._texts[part])
        return _Side(parts, tokens, "".join(pieces), cut, at if first else 0, bool(first or last))


def _starts_and_ids(encoded: Encoded, text: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tokens of a text, of which some tokenizers let one that is a space start behind it: here that is within the text."""
    return np.minimum(encoded.starts, max(len(text) - 1, 0)), encoded.ids


def _alike(some: Iterable[_Token], others: Iterable[_Token]) -> int:
    """How many tokens are the same before the first that differ."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(some, others, strict=False)))


class RetokenizedTrace:
    """The kept steps of a trace joined, with `gap` in place of each run of those that are gone: `total` is its number of tokens."""

    def __init__(self, text: str, spans: Sequence[Span], tokens: TokenCounter, gap: str = "", around: int = AROUND) -> None:
        self._text, self._spans, self._gap = text, spans, gap
        self._separators = Separators(text)
        self.kept = KeptSteps(len(spans))
        self._parts = Retokenized([self._part(step) for step in range(len(spans))], tokens, around)
        self.exact = True

    @property
    def total(self) -> int:
        """The number of tokens."""
        return self._parts.total

    def remove(self, step: int) -> int:
        """The total after a kept step is removed."""
        self.kept.remove(step)
        return self._changed(step)

    def insert(self, step: int) -> int:
        """The total after a removed step is put back."""
        self.kept.insert(step)
        return self._changed(step)

    def _changed(self, step: int) -> int:
        behind = step + 1 if self._gap else self.kept.behind(step + 1)
        return self._parts.change({part: self._part(part) for part in (step, behind) if part < len(self._spans)})

    def _part(self, step: int) -> str:
        """What is read of a step: itself or the gap, with what joins it to what stands before; nothing, if it is gone."""
        before, (start, end) = self.kept.before(step), self._spans[step]
        is_kept = step in self.kept
        if not is_kept and (not self._gap or before < step - 1):
            return ""
        if self._gap:
            before = step - 1
        space = self._separators.between(self._spans[before], self._spans[step]) if before >= 0 else ""
        return space + (self._text[start:end] if is_kept else self._gap)


def recounted(
    text: str, spans: Sequence[Span], order: Sequence[int], tokens: TokenCounter, gap: str = "", around: int = AROUND
) -> list[int]:
    """The tokens of the joined text, with marked gaps, after each removal of `order`; checked half-way against a real tokenisation.

    If that check fails, the whole text is tokenised for every count, as with `around` at `WHOLE`.
    """
    kept = RetokenizedTrace(text, spans, tokens, gap, around)
    totals = [kept.remove(step) for step in order]
    half, stays = len(order) // 2, [True] * len(spans)
    for step in order[:half]:
        stays[step] = False
    if around >= WHOLE or not half or by_words(tokens).count(keep_steps(text, spans, stays, gap)) == totals[half - 1]:
        return totals
    return recounted(text, spans, order, tokens, gap, WHOLE)
