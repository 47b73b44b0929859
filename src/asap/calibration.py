"""How long a run would take here: its model reads pieces of the real rows for some seconds, and their pace is carried over to all rows.

Attention makes long traces slower by the token than short ones. So the pieces grow for as long as there is time, and beyond the longest
one the pace is taken to change as it did between them. What this does not do: count loading, reading, or an LLM's replies.
"""

import heapq
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import NamedTuple

from asap.cost import tokens_read
from asap.digest import content_digest
from asap.errors import RowError
from asap.lm.tokens import TokenCounter
from asap.prune.asap import Asap
from asap.prune.coarse.selection import NOT_ASKED, Selection
from asap.prune.decision import Decision
from asap.prune.settings import AsapSettings
from asap.prune.trace import Size
from asap.sample import Sample
from asap.steps import split_steps

FEWEST_TOKENS = 1000
"""With less to read, measuring would take as long as the run."""
_SECONDS = 5.0
_SHORTEST = 64
_GROWS = 2.5
"""So many times as long a piece of twice the tokens takes at most, about."""
_MOST_ROWS = 64
_LOW, _HIGH = 0.7, 1.5


class Effort(NamedTuple):
    """What a model reads of rows: tokens, those of the question before them included, at least and at most; `grown` is the latter
    times the length of the trace, summed.
    """

    low: float = 0.0
    high: float = 0.0
    grown: float = 0.0

    def plus(self, other: "Effort") -> "Effort":
        """Both together."""
        return Effort(self.low + other.low, self.high + other.high, self.grown + other.grown)


class TimedPiece(NamedTuple):
    """Texts of one length that were read: the tokens of each trace, the effort, and the seconds."""

    length: float
    effort: float
    seconds: float

    @property
    def pace(self) -> float:
        """Seconds per token read."""
        return self.seconds / self.effort


class Seconds(NamedTuple):
    """How long a model takes, about: at least and at most."""

    low: float
    high: float


def effort_of(settings: AsapSettings, size: Size, question: int, kept: float) -> Effort:
    """The effort of a row whose question has so many tokens, and of whose trace at most `kept` tokens are kept."""
    read, longer = tokens_read(settings, size, kept), (size.trace + question) / max(1.0, size.trace)
    return Effort(read.low * longer, read.high * longer, read.high * longer * size.trace)


def reads_anew(pruner: Asap) -> bool:
    """Whether the pruner's model reads each text from its beginning; only one in this process keeps what it has read."""
    return pruner.scorer.causal_lm is None


class Drawn:
    """Rows drawn from a stream by their content, the same ones each time."""

    def __init__(self, most: int = _MOST_ROWS) -> None:
        self._most, self._number = most, count()
        self._rows = list[tuple[int, int, Sample]]()

    def add(self, sample: Sample) -> None:
        """Draw the sample, or do not."""
        entry = (int(content_digest(sample.id, sample.cot)[:15], 16), next(self._number), sample)
        if len(self._rows) < self._most:
            heapq.heappush(self._rows, entry)
        else:
            heapq.heappushpop(self._rows, entry)

    @property
    def samples(self) -> list[Sample]:
        """The samples, in the order of their digests."""
        return [sample for _, _, sample in sorted(self._rows, key=lambda row: row[:2])]


def pieces(pruner: Asap, samples: Sequence[Sample], seconds: float = _SECONDS) -> list[TimedPiece]:
    """What the pruner's model took for pieces of the samples, each twice as long as the one before, in about so many seconds."""
    found, length, begun = list[TimedPiece](), _SHORTEST, time.perf_counter()
    longest = max((pruner.scorer.tokens.count(sample.cot) for sample in samples), default=0)
    while True:
        rows = max(1, pruner.batch_tokens // length)
        _, piece = decided(pruner, [_first_tokens(sample, length, pruner.scorer.tokens) for sample in samples[:rows]])
        found += [piece] if piece else []
        left = seconds - (time.perf_counter() - begun)
        if length >= longest or not piece or _GROWS * piece.seconds > left:
            return found[1:] or found  # the first one warms up
        length *= 2


def decided(pruner: Asap, samples: Sequence[Sample]) -> tuple[list[Decision | RowError], TimedPiece | None]:
    """The pruner's decisions about samples, and what its model took for them; None if it read nothing."""
    started = time.perf_counter()
    decisions = pruner.decide(samples, [*_selections(pruner.settings, samples)])
    seconds = time.perf_counter() - started
    tokens = pruner.scorer.tokens
    read = [sample for sample, decision in zip(samples, decisions, strict=True) if not isinstance(decision, RowError)]
    effort = sum(_effort(pruner, sample) for sample in read)
    return decisions, TimedPiece(sum(tokens.count(sample.cot) for sample in read) / len(read), effort, seconds) if effort else None


def seconds_for(effort: Effort, read: Sequence[TimedPiece]) -> Seconds:
    """How long a model takes for all of an effort, going by pieces that it read, the shortest first."""
    first, last = read[0], read[-1]
    slope = max(0.0, (last.pace - first.pace) / (last.length - first.length)) if last.length > first.length else 0.0
    beyond = max(0.0, effort.grown - last.length * effort.high)
    return Seconds(_LOW * min(piece.pace for piece in read) * effort.low, _HIGH * (last.pace * effort.high + slope * beyond))


def _effort(pruner: Asap, sample: Sample) -> float:
    settings, tokens = pruner.settings, pruner.scorer.tokens
    steps = max(1, len(split_steps(sample.cot, settings.split)))
    size = Size(steps, tokens.count(sample.cot), tokens.count(sample.answer), reads_anew(pruner))
    return effort_of(settings, size, tokens.count(sample.question), size.trace).high


def _first_tokens(sample: Sample, length: int, tokens: TokenCounter) -> Sample:
    encoded = tokens.encode(sample.cot)
    end = len(sample.cot) if len(encoded.ends) <= length else int(encoded.ends[length - 1])
    return replace(sample, cot=sample.cot[:end], logprobs=None)


def _selections(settings: AsapSettings, samples: Sequence[Sample]) -> Iterator[Selection]:
    """What stage 1's LLM might have selected: every step, so that the scorer reads as much as it ever does."""
    for sample in samples:
        steps = len(split_steps(sample.cot, settings.split))
        yield Selection([*range(steps)], None, 1, []) if settings.uses_llm else NOT_ASKED
