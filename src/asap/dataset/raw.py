"""The row as it was found: where it stands, and its columns or what is wrong with it."""

from collections.abc import Mapping
from typing import NamedTuple

from asap.errors import RowError


class RawRow(NamedTuple):
    """A row before its shape is known; exactly one of `value` and `error` is set.

    `line` counts from 1: the line of a JSONL file, the row of every other source.
    """

    source: str
    line: int
    value: Mapping[str, object] | None
    error: RowError | None

    @classmethod
    def good(cls, source: str, line: int, value: Mapping[str, object]) -> "RawRow":
        """A row that could be read."""
        return cls(source, line, value, None)

    @classmethod
    def bad(cls, source: str, line: int, reason: str, detail: str) -> "RawRow":
        """A row that could not be read, with the reason for it."""
        return cls(source, line, None, RowError(reason, detail))
