"""A row as read from its source: its location, and its columns or its error."""

from collections.abc import Mapping
from typing import NamedTuple

from asap.errors import RowError

Row = Mapping[str, object]
"""The columns of a row."""


class RawRow(NamedTuple):
    """A row before its shape is known. Exactly one of `value` and `error` is set.

    `line` counts from 1: the line of a JSONL file, or the row of any other source.
    """

    source: str
    line: int
    value: Row | None
    error: RowError | None

    @classmethod
    def good(cls, source: str, line: int, value: Row) -> "RawRow":
        """A readable row."""
        return cls(source, line, value, None)

    @classmethod
    def bad(cls, source: str, line: int, reason: str, detail: str) -> "RawRow":
        """An unreadable row, with the reason."""
        return cls(source, line, None, RowError(reason, detail))
