"""A range of a text."""

from typing import NamedTuple


class Span(NamedTuple):
    """`text[start:end]`, in characters."""

    start: int
    end: int
