"""Exact token counts of the joined steps while steps come and go, without tokenising everything again each time.

The whole text is tokenised once. Where a step starts with a visible character and a token starts right there (a *clean*
start), the tokens on either side do not depend on each other, so a step costs the tokens from its clean start to the next
one. Steps without a clean start (indented ones whose spaces merge with the blank line; every step of a tokenizer that
ignores line breaks) are counted together with the steps before them. The first and the last kept step are counted where
they stand: a tokenizer may treat the start of a text specially, and the last step has no blank line after it.
`fine.removal_tokens` checks the sums against real tokenisations.
"""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from asap.lm.tokens import TokenCounter
from asap.steps import SEPARATOR, Span

_ANCHOR = "A"  # a visible neighbour, so that the blank lines around a piece are tokenised as they are inside a text


class JoinedTokens:
    """The kept steps joined with blank lines: `total` is their number of tokens, `remove` and `insert` keep it right.

    `step_tokens` is what each step costs in the whole joined text, the blank line after it included.
    """

    def __init__(self, text: str, spans: Sequence[Span], tokens: TokenCounter) -> None:
        self._steps = [text[span.start : span.end] for span in spans]
        self._tokens = tokens
        self._memo: dict[tuple[int, ...], int] = {}
        self.kept = list(range(len(spans)))
        encoded = tokens.encode(SEPARATOR.join(self._steps))
        lengths = [len(step) + len(SEPARATOR) for step in self._steps]
        starts = np.concatenate([[0], np.cumsum(lengths)])[:-1].astype(np.int64)
        at = np.searchsorted(encoded.starts, starts, side="left")
        self.total = len(encoded.ids)
        self.step_tokens: list[int] = np.diff(np.append(at[1:], self.total), prepend=0).tolist()
        unstraddled = np.append(encoded.ends, 0)[at - 1] <= starts
        starts_here = np.append(encoded.starts, -1)[at] == starts
        self._clean = [
            bool(here and alone) and not step[:1].isspace() for here, alone, step in zip(starts_here, unstraddled, self._steps, strict=True)
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
        run: list[int] = []
        for position in range(first, last):
            step = self.kept[position]
            if run and self._clean[step]:
                cost += self._run_cost(run, leads=position - len(run) == 0, ends=False)
                run = []
            run.append(step)
        if run:
            cost += self._run_cost(run, leads=last - len(run) == 0, ends=last == len(self.kept))
        return cost

    def _run_cost(self, run: list[int], *, leads: bool, ends: bool) -> int:
        """Tokens of a clean step and the unclean ones behind it; looked up where it stands as it stood in the whole text."""
        step, final = run[0], len(self._steps) - 1
        as_before = len(run) == 1 and leads == (step == 0) and ends == (step == final)
        if as_before and (step == final or self._clean[step + 1]):
            return self.step_tokens[step]
        key = (int(leads), int(ends), *run)
        if key not in self._memo:
            self._memo[key] = self._counted(run, leads=leads, ends=ends)
        return self._memo[key]

    def _counted(self, run: list[int], *, leads: bool, ends: bool) -> int:
        before = "" if leads else _ANCHOR + SEPARATOR
        piece = SEPARATOR.join(self._steps[step] for step in run) + ("" if ends else SEPARATOR)
        if leads and ends:
            return self._tokens.count(piece)
        starts = self._tokens.encode(before + piece + ("" if ends else _ANCHOR)).starts
        stop = len(starts) if ends else int(np.searchsorted(starts, len(before) + len(piece), side="left"))
        return stop - int(np.searchsorted(starts, len(before), side="left"))
