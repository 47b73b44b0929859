"""Counts the properties of a data set's rows in one pass, for `asap doctor` and `asap prune --dry-run`.

Memory holds only counters. To find repeated rows, three digests of each are in a temporary file of SQLite, which it removes itself.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from asap.dataset import RejectedTurn, Shaped
from asap.dataset.placeholder import Questions
from asap.dataset.turn_tags import tags_of_turn
from asap.dataset.where import FILTERED
from asap.digest import content_digest
from asap.errors import RowError
from asap.fences import fenced, is_open
from asap.lm.prompt_style import default_context, render_context
from asap.lm.tokens import TokenCounter
from asap.repetition import repetition
from asap.sample import Sample, Unthinking
from asap.steps import Splitter, StepSplit, split_steps
from asap.tables import number_of
from asap.think_tags import has_tag, ordered_tags

LONG_STEP = 250
"""Tokens of a step; in 545 traces of DeepSeek-R1 and 1,900 of R1 and QwQ no trace has so many in the mean."""
_BATCH = 32  # rows tokenised together


class Place(NamedTuple):
    """A row's source and line."""

    source: str
    line: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line}"


@dataclass(slots=True)
class Cases:
    """The number of rows with some property, and the location and detail of the first."""

    count: int = 0
    first: Place | None = None
    detail: str = ""

    def add(self, place: Place, detail: str = "") -> None:
        """Count one more row."""
        if not self.count:
            self.first, self.detail = place, detail
        self.count += 1


class Reader(NamedTuple):
    """The tokenizer of the model that reads the rows, and the model's context in tokens (None: unknown)."""

    tokens: TokenCounter
    context_tokens: int | None


class Length(NamedTuple):
    """A usable row and the length of its trace."""

    sample: Sample
    steps: int
    tokens: int


class _FirstSeen:
    """A number for each key, which stays the first that was given; on disk beyond some megabytes."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA cache_size=-16000; CREATE TABLE first (key INTEGER PRIMARY KEY, value INTEGER)"
        )
        self._db.execute("BEGIN")

    def __del__(self) -> None:
        self._db.close()

    def __contains__(self, key: int) -> bool:
        return self._db.execute("SELECT 1 FROM first WHERE key = ?", (key,)).fetchone() is not None

    def setdefault(self, key: int, value: int) -> int:
        """The value of a key, which is this one if it has none yet."""
        found = self._db.execute("SELECT value FROM first WHERE key = ?", (key,)).fetchone()
        if found is None:
            self._db.execute("INSERT INTO first VALUES (?, ?)", (key, value))
        return value if found is None else int(found[0])


@dataclass(slots=True)
class Survey:
    """Counts of rows. `count` counts the tokens of traces like a budget; without a `reader`, no row counts as too long for it."""

    count: Callable[[Sequence[str]], list[int]]
    reader: Reader | None = None
    step_split: StepSplit | Splitter = "fenced"
    shapes: Counter[str] = field(default_factory=Counter)
    turns: int = 0
    """Rows that are turns of conversations."""
    conversations: int = 0
    rejected: dict[str, Cases] = field(default_factory=dict)
    """Rows that cannot be used, by reason."""
    passed: Counter[str] = field(default_factory=Counter)
    """Rows without thinking that pass through, by reason."""
    questions: Questions = field(default_factory=Questions)
    filtered: int = 0
    """Rows that `--where` leaves out, which count nowhere else."""
    tokens: Counter[int] = field(default_factory=Counter)
    """The number of usable rows by the tokens of their traces."""
    steps: Counter[int] = field(default_factory=Counter)
    """The number of usable rows by the steps of their traces."""
    long_steps: Cases = field(default_factory=Cases)
    """Rows whose trace is one step, or has more than `LONG_STEP` tokens a step in the mean."""
    long_steps_tokens: int = 0
    """The total tokens of their traces."""
    finer: dict[StepSplit, Counter[int]] = field(default_factory=lambda: {"line": Counter(), "sentence": Counter()})
    """The number of those rows by the steps that they would have with another `--step-split`."""
    several_tags: Cases = field(default_factory=Cases)
    other_tags_ordered: Cases = field(default_factory=Cases)
    """Rows whose system message or question orders other think tags than those in which the response is written."""
    loops: Cases = field(default_factory=Cases)
    """Rows whose trace ends in a loop."""
    no_code: Cases = field(default_factory=Cases)
    open_fence: Cases = field(default_factory=Cases)
    beyond_context: Cases = field(default_factory=Cases)
    copies: Cases = field(default_factory=Cases)
    """Rows with the question, trace and answer of an earlier row."""
    same_questions: Cases = field(default_factory=Cases)
    """Other rows with the question of an earlier row."""
    same_ids: Cases = field(default_factory=Cases)
    """Rows with the id of an earlier row but other content."""
    _conversation: Place | None = None
    """The place of the conversation that was counted last."""
    _first: _FirstSeen = field(default_factory=_FirstSeen)
    """For ids, questions and whole rows, the content of the first row with them; all as digests."""

    @property
    def of_conversations(self) -> str:
        """What is said of turns behind the number of rows; nothing if there are none."""
        return f", {self.turns:,} of them turns of {number_of(self.conversations, 'conversation')}" if self.turns else ""

    @property
    def usable(self) -> int:
        """The number of rows that can be pruned."""
        return self.tokens.total()

    @property
    def unusable(self) -> int:
        """The number of rows that cannot."""
        return sum(cases.count for cases in self.rejected.values())

    @property
    def rows(self) -> int:
        """The number of all rows."""
        return self.usable + self.passed.total() + self.unusable

    @property
    def trace_tokens(self) -> int:
        """The total tokens of all usable traces."""
        return sum(tokens * count for tokens, count in self.tokens.items())

    def up_to(self, limit: int) -> int:
        """The number of usable rows whose traces have at most `limit` tokens."""
        return sum(count for tokens, count in self.tokens.items() if tokens <= limit)

    def lengths(self, rows: Iterable[tuple[Place, Shaped | RowError]]) -> Iterator[Length]:
        """Count the rows and yield the usable ones. Rejects a row that the reader's chat template refuses."""
        rows = iter(rows)
        while batch := list(islice(rows, _BATCH)):
            usable, contexts = list[tuple[Place, Shaped]](), list[str]()
            for place, result in batch:
                self._count_turn(place, result)
                try:
                    if isinstance(result, RowError):
                        raise result
                    contexts.append(self._context(result.sample))
                    usable.append((place, result))
                except RowError as error:
                    if error.reason == FILTERED:
                        self.filtered += 1
                        continue
                    if isinstance(error, Unthinking):
                        self.passed[error.reason] += 1
                        continue
                    self.rejected.setdefault(error.reason, Cases()).add(place, error.detail)
            yield from self._counted(usable, contexts)

    def _count_turn(self, place: Place, result: Shaped | RowError) -> None:
        if isinstance(result, RejectedTurn) or (isinstance(result, Shaped) and result.sample.turn):
            self.turns += 1
            self.conversations += place != self._conversation
            self._conversation = place

    def _counted(self, rows: Sequence[tuple[Place, Shaped]], contexts: Sequence[str]) -> Iterator[Length]:
        traces = [shaped.sample.cot for _, shaped in rows]
        tokens = self.count(traces)
        if self.reader and self.reader.context_tokens is not None:
            read = tokens if self.count == self.reader.tokens.count_many else self.reader.tokens.count_many(traces)
            for (place, _), before, trace in zip(rows, self.reader.tokens.count_many(contexts), read, strict=True):
                if before + trace > self.reader.context_tokens:
                    self.beyond_context.add(place)
        for (place, shaped), length in zip(rows, tokens, strict=True):
            steps = len(split_steps(shaped.sample.cot, self.step_split))
            self.shapes[shaped.shape] += 1
            self.tokens[length] += 1
            self.steps[steps] += 1
            if steps == 1 or length > LONG_STEP * steps:
                self._add_long_steps(place, shaped.sample, length)
            self._add_cases(place, shaped.sample)
            yield Length(shaped.sample, steps, length)

    def _add_long_steps(self, place: Place, sample: Sample, tokens: int) -> None:
        self.long_steps.add(place)
        self.long_steps_tokens += tokens
        for how, counts in self.finer.items():
            counts[len(split_steps(sample.cot, how))] += 1

    def _add_cases(self, place: Place, sample: Sample) -> None:
        self.questions.add(sample.question)
        if has_tag(sample.cot):
            self.several_tags.add(place)
        if other := _other_tags(sample):
            self.other_tags_ordered.add(place, other)
        if (found := repetition(sample.cot)).is_loop:
            self.loops.add(place, str(found))
        if not fenced(sample.answer):
            self.no_code.add(place)
        elif is_open(sample.answer):
            self.open_fence.add(place)
        row_id, question, content = (
            _digest("id", sample.id),
            _digest("question", sample.question),
            _digest("row", sample.question, sample.cot, sample.answer),
        )
        if content in self._first:
            self.copies.add(place)
        elif question in self._first:
            self.same_questions.add(place)
        if self._first.setdefault(row_id, content) != content:
            self.same_ids.add(place)
        self._first.setdefault(question, content)
        self._first.setdefault(content, content)

    def _context(self, sample: Sample) -> str:
        """The text that the reader reads before the trace."""
        return "" if self.reader is None else render_context(self.reader.tokens, sample.prompt, default_context(self.reader.tokens))


def _other_tags(sample: Sample) -> str:
    """What is ordered instead of the tags that are written; empty if the prompt orders none, or these."""
    frame = tags_of_turn(sample.turn.conversation, sample.turn.line) if sample.turn else sample.frame
    for name, text in (("system message", sample.system or ""), ("question", sample.question)):
        if (rows := ordered_tags(text)) and all(row.open.lower() != frame.before.strip().lower() for row in rows):
            return f"the {name} orders {rows[0].open} and {frame.before.strip()} is written"
    return ""


def _digest(*texts: str) -> int:
    return int(content_digest(*texts)[:15], 16)  # 60 bits
