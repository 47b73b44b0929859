"""Counting rows as they stream by.

What stays in memory: counters, and 32 bytes a row (three 8-byte digests and a line number) to find duplicates and say where
they are. Texts are never kept.
"""

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asap.dataset import Shaped
from asap.digest import content_digest
from asap.doctor.rulers import Rulers
from asap.errors import RowError
from asap.fences import fenced, is_open
from asap.lm.prompt_style import default_context, render_context
from asap.sample import Sample
from asap.steps import split_steps
from asap.think import has_tag


class Place(NamedTuple):
    """Where a row stands."""

    source: str
    line: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line}"


@dataclass(slots=True)
class Seen:
    """How many rows, and where the first one is."""

    count: int = 0
    first: Place | None = None
    detail: str = ""

    def add(self, place: Place, detail: str = "") -> None:
        """One more row."""
        if not self.count:
            self.first, self.detail = place, detail
        self.count += 1


class Lengths:
    """Whole numbers, kept as a counter: exact quantiles, and memory only for distinct values."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()

    def quantile(self, share: float) -> int:
        """The smallest number that at least this share of all numbers does not exceed."""
        values = sorted(self.counts)
        reached = np.cumsum([self.counts[value] for value in values])
        return values[int(np.searchsorted(reached, share * reached[-1], side="left"))]

    def up_to(self, limit: int) -> int:
        """How many numbers are at most `limit`."""
        return sum(count for value, count in self.counts.items() if value <= limit)


class Repeats:
    """Finds rows that repeat an earlier one, by 8-byte digests."""

    def __init__(self) -> None:
        self._ids, self._questions, self._contents, self._lines = (array("Q") for _ in range(4))
        self._sources: list[str] = []
        self._starts: list[int] = []

    def add(self, place: Place, sample: Sample) -> None:
        """One more row."""
        if not self._sources or self._sources[-1] != place.source:
            self._sources.append(place.source)
            self._starts.append(len(self._lines))
        self._lines.append(place.line)
        self._ids.append(_digest(sample.id))
        self._questions.append(_digest(sample.question))
        self._contents.append(_digest(sample.question, sample.cot, sample.answer))

    def rows(self) -> Seen:
        """Rows whose question, trace and answer stood in an earlier row."""
        return self._seen(~_is_first(self._contents))

    def questions(self) -> Seen:
        """Rows whose question stood in an earlier row, exact repetitions of that row left out."""
        return self._seen(~_is_first(self._questions) & _is_first(self._contents))

    def ids(self) -> Seen:
        """Rows whose id stood in an earlier row with another content."""
        _, first, inverse = np.unique(_as_numpy(self._ids), return_index=True, return_inverse=True)
        contents = _as_numpy(self._contents)
        return self._seen(contents != contents[first[inverse]])

    def _seen(self, repeats: NDArray[np.bool_]) -> Seen:
        count = int(repeats.sum())
        if not count:
            return Seen()
        row = int(repeats.argmax())
        return Seen(count, Place(self._sources[bisect_right(self._starts, row) - 1], self._lines[row]))


@dataclass(slots=True)
class Tally:
    """Everything that is counted about the rows."""

    rulers: Rulers
    shapes: Counter[str] = field(default_factory=Counter)
    rejected: dict[str, Seen] = field(default_factory=dict)
    several_tags: Seen = field(default_factory=Seen)
    no_code: Seen = field(default_factory=Seen)
    open_fence: Seen = field(default_factory=Seen)
    beyond_context: Seen = field(default_factory=Seen)
    one_step: Seen = field(default_factory=Seen)
    tokens: Lengths = field(default_factory=Lengths)
    steps: Lengths = field(default_factory=Lengths)
    repeats: Repeats = field(default_factory=Repeats)

    @property
    def usable(self) -> int:
        """Rows that can be pruned."""
        return self.shapes.total()

    @property
    def bad(self) -> int:
        """Rows that cannot."""
        return sum(seen.count for seen in self.rejected.values())

    def reject(self, place: Place, error: RowError) -> None:
        """One more row that cannot be used."""
        self.rejected.setdefault(error.reason, Seen()).add(place, error.detail)

    def add(self, rows: Sequence[tuple[Place, Shaped]]) -> None:
        """More rows that could be read, tokenised side by side; one that the scorer's chat template refuses is rejected."""
        taken: list[tuple[Place, Shaped]] = []
        contexts: list[str] = []
        for place, shaped in rows:
            try:
                contexts.append(self._context(shaped.sample))
                taken.append((place, shaped))
            except RowError as error:
                self.reject(place, error)
        traces = [shaped.sample.cot for _, shaped in taken]
        tokens = self.rulers.trace.count(traces)
        read = tokens if self.rulers.scorer is self.rulers.trace else self.rulers.scorer.count(traces)
        before = self.rulers.scorer.count(contexts)
        for (place, shaped), length, trace, context in zip(taken, tokens, read, before, strict=True):
            self._add(place, shaped, length, context + trace)

    def _add(self, place: Place, shaped: Shaped, tokens: int, tokens_read: int) -> None:
        sample = shaped.sample
        self.shapes[shaped.shape] += 1
        self.tokens.counts[tokens] += 1
        if self.rulers.context_tokens is not None and tokens_read > self.rulers.context_tokens:
            self.beyond_context.add(place)
        steps = len(split_steps(sample.cot))
        self.steps.counts[steps] += 1
        if steps == 1:
            self.one_step.add(place)
        if has_tag(sample.cot):
            self.several_tags.add(place)
        if not fenced(sample.answer):
            self.no_code.add(place)
        elif is_open(sample.answer):
            self.open_fence.add(place)
        self.repeats.add(place, sample)

    def _context(self, sample: Sample) -> str:
        """What the scorer reads before the trace; nothing is known of it without its tokenizer."""
        tokens = self.rulers.scorer.tokens
        return "" if tokens is None else render_context(tokens, sample.prompt, default_context(tokens))


def _digest(*texts: str) -> int:
    return int(content_digest(*texts)[:16], 16)


def _as_numpy(values: "array[int]") -> NDArray[np.uint64]:
    return np.frombuffer(values, dtype=np.uint64) if values else np.empty(0, np.uint64)


def _is_first(values: "array[int]") -> NDArray[np.bool_]:
    """Which values have not stood earlier in the sequence."""
    mask = np.zeros(len(values), dtype=np.bool_)
    mask[np.unique(_as_numpy(values), return_index=True)[1]] = True
    return mask
