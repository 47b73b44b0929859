"""A piece of a text by its place."""

from typing import NamedTuple


class Span(NamedTuple):
    """`text[start:end]`, in characters."""

    start: int
    end: int
