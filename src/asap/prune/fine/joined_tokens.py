"""Exact token counts of the joined steps after each removal or insertion, without tokenising the whole text each time.

The whole text is tokenised once. If a step starts with a visible character and a token starts right there (a *clean* start), the
tokens after it do not depend on the text before the blank line, so a step costs the tokens from its clean start to the next one.
Where only a space separates two steps (`--step-split sentence`), it is counted with the second if its first token begins with it.
The text after the blank line matters: some tokenizers write a blank line as one token before a digit and as two before a letter, so
a step is counted again when its successor changes. In a step without a clean start (an indented one whose spaces merge with the blank
line; every step of a tokenizer that ignores line breaks) the first space between two letters starts a token: the words before it are
counted with the step before; all of it, where it has no such space. The first kept step is counted without anything before it, since a
tokenizer may treat the start specially. If only the successor changed, only the last words are counted again. If a place where counting
begins turns out not to start a token, `exact` becomes false, and `removal_tokens` counts as `asap.prune.fine.retokenized` does.

So a removal costs the tokenisation of a few words, however many steps there are, and what it makes useless is forgotten.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from asap.lm.tokens import Encoded, TokenCounter
from asap.lm.word_cache import by_words
from asap.prune.fine.kept_steps import KeptSteps
from asap.prune.fine.places import places_in, tokens_at
from asap.prune.fine.retokenized import recounted
from asap.spans import Span
from asap.steps import SEPARATOR, Separators, has_line_break, join_steps, laid_out

_BEFORE = "A" + SEPARATOR  # a visible neighbour, so that a piece starts with the same tokens as inside a text
_BEFORE_SPACE, _BEFORE_NOTHING = "A", "。"  # the same where only a space, or nothing, separates two sentences
_BEFORE_WORD = "a"  # the same where a piece starts with the space between two words
_TEXT, _STEP, _WITHIN, _SPACE = 0, 1, 2, 3
_FIRST_WORDS = (16, 64)  # characters of the next step to include after a piece: plain words, the longest special token
_AT_ONCE = 2048  # removals whose pieces are tokenised in one call

_Run = tuple[int, ...]
"""Kept steps that are counted together, since counting can begin in the first of them alone: how it begins (see `_begins`), the number of
the step behind them, and their own numbers."""


class _Piece(NamedTuple):
    """A text to be counted: what stands before it, the space that is counted with it (None: it follows a line break), itself, its last
    step and the step behind it (their number: none).
    """

    before: str
    space: str | None
    text: str
    last: int
    behind: int


class _Change(NamedTuple):
    """What a removal or an insertion changes: the affected runs before and after it."""

    before: list[_Run]
    after: list[_Run]


class JoinedTokens:
    """The kept steps joined: `total` is their number of tokens, which `remove` and `insert` update.

    `step_tokens` counts the tokens of each step in the whole joined text, with the blank line after it or the space before it. `exact`
    becomes false if the tokens of this text depend on each other in an unforeseen way.
    """

    def __init__(self, text: str, spans: Sequence[Span], tokens: TokenCounter) -> None:
        self._text, self._spans, self._tokens = text, spans, tokens
        self._separators = Separators(text)
        self._costs: dict[_Run, int] = {}
        self.kept = KeptSteps(len(spans))
        self.exact = True
        joined, laid = laid_out(text, spans)
        encoded = by_words(tokens).encode(joined)
        first, clean = tokens_at(encoded, np.fromiter((span.start for span in laid), np.int64, len(laid)))
        self._spaces = dict[str, int]()  # that separate two steps within a line
        for step, (before, after) in enumerate(pairwise(laid), start=1):
            space = joined[before.end : after.start]
            if not has_line_break(space):
                self._spaces.setdefault(space, len(self._spaces))
                first[step], clean[step] = _start(encoded, before.end, space)
        if self._spaces and by_words(tokens).may_hold_added(joined):
            self.exact = False  # special tokens take spaces beside them, so that a sentence's tokens depend on the one before
        self.total = self._whole = len(encoded.ids)
        self.step_tokens: list[int] = np.diff(np.concatenate([[0], first[1:], [self._whole]])).tolist()
        self._places = places_in(joined, laid, encoded, first, clean)

    def remove(self, step: int) -> None:
        """Remove a kept step."""
        self._do(self._removal(step))

    def insert(self, step: int) -> None:
        """Put a removed step back."""
        first, last = self._affected(step, step)
        before = self._runs(first, last)
        self.kept.insert(step)
        self._do(_Change(before, self._runs(first, last)))

    def remove_each(self, steps: Sequence[int]) -> list[int]:
        """Remove kept steps in this order; the total after each removal. None of them can be put back cheaply afterwards."""
        totals = list[int]()
        for start in range(0, len(steps), _AT_ONCE):
            changes = [self._removal(step) for step in steps[start : start + _AT_ONCE]]
            self._count(run for change in changes for runs in change for run in runs)
            for change in changes:
                totals.append(self._apply(change))
                for run in set(change.before).difference(change.after):
                    del self._costs[run]
        return totals

    def _removal(self, step: int) -> _Change:
        first, last = self._affected(step, step + 1)
        before = self._runs(first, last)
        self.kept.remove(step)
        return _Change(before, self._runs(first, last))

    def _do(self, change: _Change) -> None:
        self._count(run for runs in change for run in runs)
        self._apply(change)

    def _apply(self, change: _Change) -> int:
        """The total after a change whose runs are counted."""
        self.total += sum([self._costs[run] for run in change.after]) - sum([self._costs[run] for run in change.before])
        return self.total

    def _affected(self, step: int, behind: int) -> tuple[int, int]:
        """From where to where the cost of kept steps may change with a step: the run before it and the run after it, from `behind` on."""
        first = self.kept.before(step)
        while first >= 0 and self._places.within[first] < 0:
            first = self.kept.before(first)
        return max(first, 0), self._next_place(self._next_place(behind) + 1)  # the first of these may become the first kept step

    def _next_place(self, step: int) -> int:
        """The next kept step, at a place or behind it, in which counting may begin; the number of steps if there is none."""
        step = self.kept.behind(step)
        while step < len(self._spans) and self._places.within[step] < 0:
            step = self.kept.behind(step + 1)
        return step

    def _runs(self, first: int, last: int) -> list[_Run]:
        """The runs of the kept steps from one place to another; both are where counting may begin, or ends of the text."""
        runs, step = list[_Run](), self.kept.behind(first)
        while step < last:
            own, begins = [step], self._begins(step, self.kept.before(step))
            while (step := self.kept.behind(step + 1)) < last and self._places.within[step] < 0:
                own.append(step)
            runs.append((begins, step, *own))
        return runs

    def _count(self, runs: Iterable[_Run]) -> None:
        """Find the tokens of runs, with one call of the tokenizer for all whose last words determine them."""
        places, by_tail, whole = self._places, list[_Run](), list[_Run]()
        for run in dict.fromkeys(runs):
            if run in self._costs:
                continue
            begins, behind, start, last = *run[:3], run[-1]
            stands = begins == self._begins(start, start - 1) and last - start == len(run) - 3  # as in the whole text, up to the last step
            if stands and behind == last + 1:
                end = places.tokens[behind] if behind < len(self._spans) else self._whole
                self._costs[run] = end - places.first_token(start)
            elif stands and places.tails[last] >= 0:
                by_tail.append(run)
            else:
                whole.append(run)
        tails = (self._from_space(run[-1], places.tails[run[-1]]) for run in by_tail)
        counted = self._counted(
            [_Piece(_BEFORE_WORD, " ", join_steps(self._text, [tail]), run[-1], run[1]) for run, tail in zip(by_tail, tails, strict=True)]
        )
        for run, (cost, clean) in zip(by_tail, counted, strict=True):
            if clean:
                self._costs[run] = places.tail_tokens[run[-1]] - places.first_token(run[2]) + cost
            else:
                whole.append(run)
        for run, (cost, clean) in zip(whole, self._counted([self._piece(run) for run in whole]), strict=True):
            self._costs[run] = cost
            self.exact &= clean

    def _begins(self, step: int, before: int) -> int:
        """How counting begins in a kept step, if `before` is the one kept before it (-1: none): with the text, behind a line break, within
        the step, or from `_SPACE` on with one of the spaces, which is counted with it.
        """
        if before < 0:
            return _TEXT
        if self._places.within[step] > 0:
            return _WITHIN
        space = self._separator(before, step)
        return _STEP if has_line_break(space) else _SPACE + self._spaces.setdefault(space, len(self._spaces))

    def _separator(self, before: int, after: int) -> str:
        return self._separators.between(self._spans[before], self._spans[after])

    def _piece(self, run: _Run) -> _Piece:
        begins, behind, start, last = *run[:3], run[-1]
        space = list(self._spaces)[begins - _SPACE] if begins >= _SPACE else " " if begins == _WITHIN else None
        before = {_TEXT: "", _STEP: _BEFORE, _WITHIN: _BEFORE_WORD}.get(begins, _BEFORE_SPACE if space else _BEFORE_NOTHING)
        first = self._from_space(start, self._places.within[start]) if begins == _WITHIN else self._spans[start]
        return _Piece(before, space, join_steps(self._text, [first, *(self._spans[step] for step in run[3:])]), last, behind)

    def _from_space(self, step: int, space: int) -> Span:
        """What stands in a step behind a space."""
        return Span(self._spans[step].start + space + 1, self._spans[step].end)

    def _counted(self, pieces: Sequence[_Piece]) -> list[tuple[int, bool]]:
        """The tokens of each piece up to where counting begins in the step behind it, and whether tokens start in both places."""
        wholes = [piece.before + (piece.space or "") + piece.text for piece in pieces]
        gaps = [self._separator(piece.last, piece.behind) if piece.behind < len(self._spans) else "" for piece in pieces]
        more = [gap + self._first_words(piece.behind) for piece, gap in zip(pieces, gaps, strict=True)]
        texts = [whole + behind for whole, behind in zip(wholes, more, strict=True)]
        found = list[tuple[int, bool]]()
        for piece, whole, gap, encoded in zip(pieces, wholes, gaps, by_words(self._tokens).encode_many(texts), strict=True):
            first, starts_here = _start(encoded, len(piece.before), piece.space)
            end, ends_here = len(encoded.ids), True
            if piece.behind < len(self._spans):
                within = self._places.within[piece.behind]
                own = " " if within else None if has_line_break(gap) else gap
                end, ends_here = _start(encoded, len(whole) + (len(gap) + within if within or own is None else 0), own)
            found.append((end - first, ends_here and (starts_here or not piece.before)))
        return found

    def _first_words(self, step: int) -> str:
        """What of a step has to stand behind a piece: up to a space, which avoids cutting a word or a special token in two."""
        if step >= len(self._spans):
            return ""
        (start, end), within = self._spans[step], self._places.within[step]
        least, most = (start + within + characters for characters in _FIRST_WORDS)
        found = self._text.find(" ", least, min(most, end))
        return self._text[start : min(most, end) if found < 0 else found]


def _start(encoded: Encoded, position: int, space: str | None) -> tuple[int, bool]:
    """The first token at a place or after it, and whether it starts there, with no token crossing it. A `space` of its own is there, from
    which some tokenizers' offsets leave out what is part of a token, so it is enough that no token crosses its beginning.
    """
    at = bisect_left(encoded.starts, position)
    starts_here = at < len(encoded.starts) and encoded.starts[at] == position
    return at, bool((starts_here or space) and (at == 0 or encoded.ends[at - 1] <= position))


class RemovalTokens(NamedTuple):
    """The tokens of each step, of the joined text, and of what each removal leaves."""

    step_tokens: list[int]
    tokens_joined: int
    tokens_left: list[int]


def removal_tokens(text: str, spans: Sequence[Span], order: Sequence[int], tokens: TokenCounter, gap: str = "") -> RemovalTokens:
    """The tokens of the joined text, with marked gaps, after each removal of `order`, checked half-way against a real tokenisation.

    With gaps, or if that check fails (a tokenizer whose tokens depend on distant text), they are counted as `recounted` does.
    """
    joined = JoinedTokens(text, spans, tokens)
    step_tokens, tokens_joined, half = joined.step_tokens, joined.total, len(order) // 2
    if gap:
        return RemovalTokens(step_tokens, tokens_joined, recounted(text, spans, order, tokens, gap))
    tokens_left = joined.remove_each(order)
    left = sorted({*range(len(spans))}.difference(order[:half]))
    if not joined.exact or (half and by_words(tokens).count(join_steps(text, (spans[kept] for kept in left))) != tokens_left[half - 1]):
        tokens_left = recounted(text, spans, order, tokens)
    return RemovalTokens(step_tokens, tokens_joined, tokens_left)
