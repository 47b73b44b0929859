"""The problem that a row is on. Rows of one problem are a cluster, the unit of means, intervals and tests: they are no independent rows."""

from collections.abc import Mapping
from typing import Any

from asap.dataset.shapes import Shaped
from asap.dataset.source import Source
from asap.digest import content_digest
from asap.errors import RowError, UsageError
from asap.sample import Sample, id_text

_SHOWN = 40


def cluster_of(sample: Sample, column: str | None) -> str:
    """What a column of the row names the problem; without one a digest of the question, or of the conversation's id for its turns.

    Raises RowError if the row has no such column, or neither text nor a number in it.
    """
    if column is None:
        return content_digest(sample.turn.conversation.id if sample.turn else sample.question)[:16]
    named = id_text(_columns(sample).get(column))
    if named is None:
        raise RowError("no_cluster", f"the row has no column {column!r}, or neither text nor a number in it", sample.id)
    return named


def check_cluster(source: Source, column: str | None) -> None:
    """Raise UsageError if the first usable row does not have the column; that of a later row is an error of that row."""
    shaped = (row for _, _, row in source.rows() if isinstance(row, Shaped)) if column is not None else iter(())
    first = next(shaped, None)
    if first is not None and column not in (others := _columns(first.sample)):
        has = ", ".join(map(repr, [*others][:_SHOWN])) or "none"
        raise UsageError(f"--cluster is {column!r}, which the first row does not have; its other columns are: {has}")


def _columns(sample: Sample) -> Mapping[str, Any]:
    return sample.turn.conversation.row if sample.turn else sample.meta
