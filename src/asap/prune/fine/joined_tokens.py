"""Exact token counts of the joined steps after each removal or insertion, without tokenising the whole text each time.

The whole text is tokenised once. If a step starts with a visible character and a token starts right there (a *clean* start), the
tokens after it do not depend on the text before the blank line, so a step costs the tokens from its clean start to the next one.
Where only a space separates two steps (`--step-split sentence`), it is counted with the second if its first token begins with it.
The text after the blank line matters: some tokenizers write a blank line as one token before a digit and as two before a letter, so
a step is counted again when its successor changes. Steps without a clean start (indented ones whose spaces merge with the blank
line; every step of a tokenizer that ignores line breaks) are counted together with the steps before them. The first kept step is
counted without anything before it, since a tokenizer may treat the start specially. If only the successor changed, only the last
words are counted again: the first space between two letters starts a token. If a clean start turns out not to be one, `exact` becomes
false, and `removal_tokens` then tokenises the whole text after each removal.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from asap.lm.tokens import Encoded, TokenCounter
from asap.lm.word_cache import by_words
from asap.spans import Span
from asap.steps import SEPARATOR, has_line_break, join_steps, keep_steps, laid_out, separator

_BEFORE = "A" + SEPARATOR  # a visible neighbour, so that a piece starts with the same tokens as inside a text
_BEFORE_SPACE, _BEFORE_NOTHING = "A", "。"  # the same where only a space, or nothing, separates two sentences
_TEXT, _STEP, _SPACE = 0, 1, 2
_FIRST_WORDS = (16, 64)  # characters of the next step to include after a piece: plain words, the longest special token
_LAST_WORDS = 32  # minimum characters, so that the text after a step cannot change the first token of its last words
_WORD = re.compile("(?<=[a-z]) (?=[a-z])")
_NEVER_CLEAN = "/"  # o200k, Llama 4 and Mistral's Tekken take slashes together with the punctuation before the blank line


class _Tail(NamedTuple):
    """The last words of a step, and their number of tokens, up to the next step, in the whole text."""

    text: str
    tokens: int


_Run = tuple[int, ...]
"""A clean step and the unclean ones after it, as kept: how it begins (see `_begins`), the step behind it, and its own steps."""


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
    becomes false if the tokens of this text depend on each other in an unforeseen way; `anew` treats no start as clean, so that the whole
    text is tokenised each time.
    """

    def __init__(self, text: str, spans: Sequence[Span], tokens: TokenCounter, *, anew: bool = False) -> None:
        self._steps = [text[span.start : span.end] for span in spans]
        self._text, self._spans = text, spans
        self._tokens = tokens
        self._costs: dict[_Run, int] = {}
        self.kept = list(range(len(spans)))
        self.exact = True
        joined, laid = laid_out(text, spans)
        encoded = by_words(tokens).encode(joined)
        offsets = [span.start for span in laid]
        found = [_token_at(encoded, offset) for offset in offsets]
        self._spaces = dict[str, int]()  # that separate two steps within a line
        for step, (before, after) in enumerate(pairwise(laid), start=1):
            space = joined[before.end : after.start]
            if not has_line_break(space):
                self._spaces.setdefault(space, len(self._spaces))
                found[step] = _start(encoded, before.end, space)
        if self._spaces and not anew and by_words(tokens).may_hold_added(joined):
            self.exact = False  # special tokens take spaces beside them, so that a sentence's tokens depend on the one before
        self.total = len(encoded.ids)
        ends = [*(first for first, _ in found[1:]), self.total]
        self.step_tokens = [end - start for start, end in pairwise([0, *ends])]
        self._clean = [
            starts_here and not anew and not step[:1].isspace() and step[:1] not in _NEVER_CLEAN
            for (_, starts_here), step in zip(found, self._steps, strict=True)
        ]
        self._tails = [
            None if anew else _find_tail(*parts, encoded) for parts in zip(self._steps, offsets, ends[: len(spans)], strict=True)
        ]

    def remove(self, step: int) -> None:
        """Remove a kept step."""
        self.remove_each([step])

    def remove_each(self, steps: Sequence[int]) -> list[int]:
        """Remove kept steps in this order; the total after each removal."""
        changes = [self._removal(step) for step in steps]
        self._count(run for change in changes for runs in change for run in runs)
        return [self._apply(change) for change in changes]

    def insert(self, step: int) -> None:
        """Put a removed step back."""
        at = bisect_left(self.kept, step)
        first, last = self._affected(at, at)
        before = self._runs(first, last)
        self.kept.insert(at, step)
        change = _Change(before, self._runs(first, last + 1))
        self._count(run for runs in change for run in runs)
        self._apply(change)

    def _removal(self, step: int) -> _Change:
        at = bisect_left(self.kept, step)
        first, last = self._affected(at, at + 1)
        before = self._runs(first, last)
        del self.kept[at]
        return _Change(before, self._runs(first, last - 1))

    def _apply(self, change: _Change) -> int:
        """The total after a change whose runs are counted."""
        self.total += sum([self._costs[run] for run in change.after]) - sum([self._costs[run] for run in change.before])
        return self.total

    def _affected(self, at: int, after: int) -> tuple[int, int]:
        """The part of `kept` whose cost a change at `at` may affect: the run before it and the run after it."""
        first = max(0, at - 1)
        while first > 0 and not self._clean[self.kept[first]]:
            first -= 1
        for _ in range(2):  # to the next clean step, which may become the first kept step, and to the end of its run
            while after < len(self.kept) and not self._clean[self.kept[after]]:
                after += 1
            after += 1
        return first, min(after - 1, len(self.kept))

    def _runs(self, first: int, last: int) -> list[_Run]:
        """The runs of `kept[first:last]` in the joined text; both ends are clean starts or ends of the text."""
        runs = list[_Run]()
        while first < last:
            after = first + 1
            while after < last and not self._clean[self.kept[after]]:
                after += 1
            behind = self.kept[after] if after < len(self.kept) else len(self._steps)
            begins = self._begins(self.kept[first], self.kept[first - 1] if first else -1)
            runs.append((begins, behind, *self.kept[first:after]))
            first = after
        return runs

    def _count(self, runs: Iterable[_Run]) -> None:
        """Find the tokens of runs, with one call of the tokenizer for all whose last words determine them."""
        by_tail, whole = list[tuple[_Run, _Tail]](), list[_Run]()
        for run in dict.fromkeys(runs):
            if run in self._costs:
                continue
            begins, behind, start, last = *run[:3], run[-1]
            at_first = self._begins(start, start - 1)
            stands = begins == at_first and last - start == len(run) - 3  # as in the whole text, except for the step behind
            tail = self._tails[last] if stands else None
            if stands and behind == last + 1:
                self._costs[run] = sum(self.step_tokens[start:behind])
            elif tail is not None:
                by_tail.append((run, tail))
            else:
                whole.append(run)
        counted = self._counted([_Piece("a", None, tail.text, run[-1], run[1]) for run, tail in by_tail])
        for (run, tail), (cost, clean) in zip(by_tail, counted, strict=True):
            if clean:
                self._costs[run] = sum(self.step_tokens[run[2] : run[-1] + 1]) + cost - tail.tokens
            else:
                whole.append(run)
        for run, (cost, clean) in zip(whole, self._counted([self._piece(run) for run in whole]), strict=True):
            self._costs[run] = cost
            self.exact &= clean

    def _begins(self, step: int, before: int) -> int:
        """How a kept step begins, if `before` is the one kept before it (-1: none): with the text, behind a line break, or from `_SPACE`
        on with one of the spaces, which is counted with it.
        """
        if before < 0:
            return _TEXT
        space = self._separator(before, step)
        return _STEP if has_line_break(space) else _SPACE + self._spaces.setdefault(space, len(self._spaces))

    def _separator(self, before: int, after: int) -> str:
        return separator(self._text, self._spans[before], self._spans[after])

    def _piece(self, run: _Run) -> _Piece:
        space = list(self._spaces)[run[0] - _SPACE] if run[0] >= _SPACE else None
        before = "" if run[0] == _TEXT else _BEFORE if space is None else _BEFORE_SPACE if space else _BEFORE_NOTHING
        text = join_steps(self._text, (self._spans[step] for step in run[2:]))
        return _Piece(before, space, text, run[-1], run[1])

    def _counted(self, pieces: Sequence[_Piece]) -> list[tuple[int, bool]]:
        """The tokens of each piece, and whether it starts and ends cleanly."""
        behind = [
            (self._separator(piece.last, piece.behind), _first_words(self._steps[piece.behind]))
            if piece.behind < len(self._steps)
            else None
            for piece in pieces
        ]
        wholes = [piece.before + (piece.space or "") + piece.text for piece in pieces]
        texts = [whole + "".join(more or ()) for whole, more in zip(wholes, behind, strict=True)]
        found = list[tuple[int, bool]]()
        for piece, whole, more, encoded in zip(pieces, wholes, behind, by_words(self._tokens).encode_many(texts), strict=True):
            first, starts_here = _start(encoded, len(piece.before), piece.space)
            end, ends_here = len(encoded.ids), True
            if more is not None:
                own = None if has_line_break(more[0]) else more[0]
                end, ends_here = _start(encoded, len(whole) + (len(more[0]) if own is None else 0), own)
            found.append((end - first, ends_here and (starts_here or not piece.before)))
        return found


def _first_words(step: str) -> str:
    """The start of a step up to a space, which avoids cutting a word or a special token in two."""
    end = step.find(" ", *_FIRST_WORDS)
    return step[: _FIRST_WORDS[1] if end < 0 else end]


def _find_tail(step: str, offset: int, end: int, encoded: Encoded) -> _Tail | None:
    """The last words of the step at `offset`, with `end` the token after it; None if no token starts with them."""
    spaces = list(_WORD.finditer(step, max(0, len(step) - 3 * _LAST_WORDS), max(0, len(step) - _LAST_WORDS)))
    if not spaces:
        return None
    first, starts_here = _token_at(encoded, offset + spaces[-1].start())
    return _Tail(step[spaces[-1].start() :], end - first) if starts_here else None


def _token_at(encoded: Encoded, position: int) -> tuple[int, bool]:
    """The first token that starts at or after a position, and whether it starts exactly there, with no token crossing the position."""
    at = bisect_left(encoded.starts, position)
    starts_here = at < len(encoded.starts) and encoded.starts[at] == position
    return at, bool(starts_here and (at == 0 or encoded.ends[at - 1] <= position))


def _start(encoded: Encoded, position: int, space: str | None) -> tuple[int, bool]:
    """The first token of a step at a position, and whether it starts cleanly. A `space` of its own is there, from which some tokenizers'
    offsets leave out what is part of a token, so it is enough that no token crosses its beginning.
    """
    at, starts_here = _token_at(encoded, position)
    return at, bool(starts_here or (space and (at == 0 or encoded.ends[at - 1] <= position)))


class RemovalTokens(NamedTuple):
    """The tokens of each step, of the joined text, and of what each removal leaves."""

    step_tokens: list[int]
    tokens_joined: int
    tokens_left: list[int]


def removal_tokens(text: str, spans: Sequence[Span], order: Sequence[int], tokens: TokenCounter) -> RemovalTokens:
    """The tokens of the joined text after each removal of `order`, checked half-way against a real tokenisation.

    If that check fails (a tokenizer whose tokens depend on distant text), the text is tokenised again for every count.
    """
    joined = JoinedTokens(text, spans, tokens)
    step_tokens, tokens_joined, half = joined.step_tokens, joined.total, len(order) // 2
    tokens_left = joined.remove_each(order)
    left = sorted({*range(len(spans))}.difference(order[:half]))
    if not joined.exact or (half and by_words(tokens).count(join_steps(text, (spans[kept] for kept in left))) != tokens_left[half - 1]):
        tokens_left = recounted(text, spans, order, tokens)
    return RemovalTokens(step_tokens, tokens_joined, tokens_left)


def recounted(text: str, spans: Sequence[Span], order: Sequence[int], tokens: TokenCounter, gap: str = "") -> list[int]:
    """The same counts, slowly: tokenises the joined text, with marked gaps, after each removal."""
    kept = [True] * len(spans)
    counts = []
    for step in order:
        kept[step] = False
        counts.append(by_words(tokens).count(keep_steps(text, spans, kept, gap)))
    return counts
