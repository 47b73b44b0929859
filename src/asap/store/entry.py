"""What a store tells of its rows, and what it keeps of a decision."""

from typing import NamedTuple

from asap.conversation import Conversation, TurnOf
from asap.errors import RowError
from asap.prune.decision import Decision
from asap.sample import Sample
from asap.store.content import packed


class Entry(NamedTuple):
    """The final state of an input row, or of a turn of a conversation: a sample with its decision, or its error."""

    source: str
    line: int
    id: str | None
    sample: Sample | None
    decision: Decision | None
    error: RowError | None
    turn: TurnOf | None = None
    passed: Sample | Conversation | None = None
    """The row, if it passes through because it does not think, which is then the error."""


class Missing(NamedTuple):
    """The work to do: distinct usable rows, how many have no decision yet, and the stored bytes of those."""

    rows: int
    rows_missing: int
    bytes_missing: int


class Waiting(NamedTuple):
    """A sample to work on, its digest, and its stored bytes."""

    digest: str
    sample: Sample
    size: int


def decision_body(decision: Decision | RowError) -> bytes:
    """The body that the store keeps of a decision, or of the error that a row failed with."""
    return packed({"reason": decision.reason, "detail": decision.detail} if isinstance(decision, RowError) else decision.as_row())
