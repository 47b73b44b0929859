"""Which rows are read and how, and in which tags thinking is written again: the options that all commands share which read rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from asap.dataset.logprobs import LogprobColumns
from asap.dataset.turn_tags import tags_of_turn
from asap.dataset.where import Condition, conditions_of
from asap.errors import RowError
from asap.repetition import repetition
from asap.sample import Sample
from asap.think import own_frame
from asap.think_tags import IN_THINK, Frame, TagTable, frame_named, table_with

_SETTINGS = ("think_tags", "write_tags", "drop_system", "each_generation", "pass_through", "reject_loops")


@dataclass(frozen=True, slots=True)
class TraceLimit:
    """The most tokens that a trace may have before it is pruned, and what counts them."""

    tokens: int
    count: Callable[[str], int]


@dataclass(frozen=True, slots=True)
class RowRules:
    """How rows are read, and how their responses are written."""

    think_tags: str | None = None
    """A pair OPEN,CLOSE of think tags beside those that are known."""
    write_tags: str | None = None
    """`keep`: those of the row; a row of the table, or a pair. None: `think`, but rows of pruned.jsonl stay as they were written."""
    drop_system: bool = False
    """Leave the system messages out."""
    each_generation: bool = False
    """Make a row of each generation of a row."""
    where: tuple[str, ...] = ()
    """COLUMN=VALUE: read only the rows whose column has the value; with several, those that meet all."""
    pass_through: bool = False
    """Rows without thinking are no errors but pass through (`Unthinking`)."""
    reject_loops: bool = False
    """A trace that ends in a loop is an error."""
    longest: TraceLimit | None = None
    """A trace with more tokens than this is an error."""
    logprobs: LogprobColumns | None = None
    """Columns with the log-probabilities of the response's tokens, which every row must have; the scorer's spec names them."""

    def check(self) -> None:
        """Raise UsageError for tags or conditions that are none."""
        if self.write_tags not in (None, "keep"):
            frame_named(self.write_tags, self.table)
        table_with(self.think_tags)
        conditions_of(self.where)

    def check_trace(self, cot: str) -> None:
        """Raise RowError for a trace that ends in a loop, or is too long, where these are errors."""
        if self.reject_loops and (found := repetition(cot)).is_loop:
            raise RowError("looping", f"the trace ends in a loop: {found}")
        if self.longest and (tokens := self.longest.count(cot)) > self.longest.tokens:
            raise RowError("long_trace", f"the trace has {tokens:,} tokens, and {self.longest.tokens:,} are allowed")

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What the rows must meet."""
        return conditions_of(self.where)

    @property
    def table(self) -> TagTable:
        """The tags that are known."""
        return table_with(self.think_tags)

    @property
    def named_frame(self) -> Frame | None:
        """The tags that `write_tags` names; None for those of the rows, or the usual ones."""
        return None if self.write_tags in (None, "keep") else frame_named(str(self.write_tags), self.table)

    @property
    def tags_of_turns(self) -> Frame | None:
        """The tags of a conversation's thinking in formats without a field for it; None for those of the row."""
        return None if self.write_tags == "keep" else self.named_frame or IN_THINK

    @classmethod
    def of_settings(cls, settings: Mapping[str, Any]) -> "RowRules":
        """The rules about tags that a run's settings name."""
        return cls(settings.get("think_tags"), settings.get("write_tags"))

    def as_settings(self) -> dict[str, Any]:
        """Those that are given, by name, but for what a scorer's spec says."""
        given = {name: value for name in _SETTINGS if (value := getattr(self, name))}
        given |= {"max_trace_tokens": self.longest.tokens} if self.longest else {}
        return {**given, "where": list(self.where)} if self.where else given

    def applied(self, sample: Sample) -> Sample:
        """A sample that was read before, as these rules have it written."""
        own = tags_of_turn(sample.turn.conversation, sample.turn.line) if sample.turn else sample.frame
        return replace(sample, frame=self.named_frame or own, system=None if self.drop_system else sample.system)

    def frame_of(self, cot: str, answer: str, response: str | None, pruned: str | None) -> Frame:
        """The tags in which a trace and its answer are written.

        `response` is the text that the row had them in, None where they stand in fields of their own; `pruned` is the response of a row
        that has the fields and the response as well, as those of pruned.jsonl do.
        """
        if self.named_frame:
            return self.named_frame
        if pruned is not None and (frame := _frame_in(pruned, cot, answer, self.table)):
            return frame
        if self.write_tags is None or response is None:
            return IN_THINK
        try:
            return own_frame(response, self.table)
        except RowError:
            return IN_THINK


DEFAULT_RULES = RowRules()


def _frame_in(response: str, cot: str, answer: str, table: TagTable) -> Frame | None:
    """What stands around trace and answer in a response that was made of them; None if it was not."""
    known = next((row.frame for row in table if row.frame.join(cot, answer) == response), None)
    if known is not None:
        return known
    start, end = response.find(f"\n{cot}") + 1, response.rfind(f"\n{answer}") + 1  # of tags of one's own, on lines of their own
    if not start or end < start + len(cot):
        return None
    return Frame(response[:start], response[start + len(cot) : end], response[end + len(answer) :])
