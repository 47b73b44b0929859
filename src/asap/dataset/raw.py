"""A row as read from its source: its location, and its columns or its error."""

from collections.abc import Mapping
from typing import NamedTuple

from asap.errors import RowError

LARGEST_ROW = 1 << 28
"""The most bytes of a row: reading takes some times as much memory."""

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


def not_an_object(source: str, line: int, what: str, value: object) -> RawRow:
    """The row of a JSON value that is no object. `what` it stands on: a line, or as a row of a list."""
    names: dict[type, str] = {list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
    return RawRow.bad(source, line, "not_an_object", f"the {what} holds a JSON {names.get(type(value), 'null')}; an object is expected")
