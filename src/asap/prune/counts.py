"""Exact token counts of the joined steps while steps come and go, without tokenising everything again each time.

The whole text is tokenised once. Where a step starts with a visible character and a token starts right there (a *clean*
start), the tokens behind it do not depend on the text before the blank line, so a step costs the tokens from its clean start
to the next one. What stands behind the blank line matters: some tokenizers write it as one token before a digit and as two
before a letter, so a step is counted again when another one comes to stand behind it. Steps without a clean start (indented
ones whose spaces merge with the blank line; every step of a tokenizer that ignores line breaks) are counted together with
the steps before them. The first kept step is counted without anything before it: a tokenizer may treat the start specially.
Where a clean start turns out not to be one, `exact` turns false; `fine.removal_tokens` then tokenises everything again.
"""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asap.lm.tokens import Encoded, TokenCounter
from asap.steps import SEPARATOR, Span

_BEFORE = "A" + SEPARATOR  # a visible neighbour, so that the start of a piece is tokenised as it is inside a text
_BEHIND = 64  # characters of the next step that are shown behind a piece: more than the longest special token
_NEVER_CLEAN = "/"  # o200k, Llama 4 and Mistral's Tekken take slashes together with the punctuation before the blank line


class JoinedTokens:
    """The kept steps joined with blank lines: `total` is their number of tokens, `remove` and `insert` keep it right.

    `step_tokens` is what each step costs in the whole joined text, the blank line after it included. `exact` turns false
    where the tokens of this text depend on each other in a way that is not foreseen here.
    """

    def __init__(self, text: str, spans: Sequence[Span], tokens: TokenCounter) -> None:
        self._steps = [text[span.start : span.end] for span in spans]
        self._tokens = tokens
        self._memo: dict[tuple[int, ...], int] = {}
        self.kept = list(range(len(spans)))
        self.exact = True
        encoded = tokens.encode(SEPARATOR.join(self._steps))
        lengths = [len(step) + len(SEPARATOR) for step in self._steps]
        at, starts_here = _tokens_at(encoded, np.cumsum([0, *lengths])[:-1])
        self.total = len(encoded.ids)
        self.step_tokens: list[int] = np.diff(np.append(at[1:], self.total), prepend=0).tolist()
        self._clean = [
            bool(here) and not step[:1].isspace() and step[:1] not in _NEVER_CLEAN
            for here, step in zip(starts_here, self._steps, strict=True)
        ]

    def remove(self, step: int) -> None:
        """Take a kept step out."""
        at = bisect_left(self.kept, step)
        first, last = self._affected(at, at + 1)
        before = self._cost(first, last)
        del self.kept[at]
        self.total += self._cost(first, last - 1) - before

    def insert(self, step: int) -> None:
        """Put a removed step back in its place."""
        at = bisect_left(self.kept, step)
        first, last = self._affected(at, at)
        before = self._cost(first, last)
        self.kept.insert(at, step)
        self.total += self._cost(first, last + 1) - before

    def _affected(self, at: int, after: int) -> tuple[int, int]:
        """The stretch of `kept` whose cost may change at a change at `at`: the run before it, and the run that follows it."""
        first = max(0, at - 1)
        while first > 0 and not self._clean[self.kept[first]]:
            first -= 1
        for _ in range(2):  # to the next clean step, which may become the first of all, and to the end of its run
            while after < len(self.kept) and not self._clean[self.kept[after]]:
                after += 1
            after += 1
        return first, min(after - 1, len(self.kept))

    def _cost(self, first: int, last: int) -> int:
        """Tokens of `kept[first:last]` where they stand; both ends are clean starts or ends of the text."""
        cost = 0
        while first < last:
            after = first + 1
            while after < last and not self._clean[self.kept[after]]:
                after += 1
            behind = self.kept[after] if after < len(self.kept) else len(self._steps)
            cost += self._run_cost(self.kept[first:after], behind, leads=first == 0)
            first = after
        return cost

    def _run_cost(self, run: list[int], behind: int, *, leads: bool) -> int:
        """Tokens of a clean step and the unclean ones after it, with the step `behind` after them."""
        start = run[0]
        if leads == (start == 0) and [*run, behind] == list(range(start, behind + 1)):  # stands as it stood in the whole text
            return sum(self.step_tokens[start:behind])
        key = (int(leads), behind, *run)
        if key not in self._memo:
            self._memo[key] = self._counted(run, behind, leads=leads)
        return self._memo[key]

    def _counted(self, run: list[int], behind: int, *, leads: bool) -> int:
        before = "" if leads else _BEFORE
        text = before + SEPARATOR.join(self._steps[step] for step in run)
        if behind == len(self._steps):
            encoded = self._tokens.encode(text)
            at, clean = _tokens_at(encoded, [len(before)])
            at = np.append(at, len(encoded.ids))
        else:
            text += SEPARATOR
            encoded = self._tokens.encode(text + self._steps[behind][:_BEHIND])
            at, clean = _tokens_at(encoded, [len(before), len(text)])
        self.exact &= bool(clean[0 if before else 1 :].all())
        return int(at[1] - at[0])


def _tokens_at(encoded: Encoded, positions: Sequence[int] | NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The first token that starts at or after each position, and whether one starts right there and none reaches over it."""
    at = np.searchsorted(encoded.starts, positions, side="left")
    starts_here = np.append(encoded.starts, -1)[at] == positions
    return at, starts_here & (np.append(encoded.ends, 0)[at - 1] <= positions)
