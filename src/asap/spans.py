"""Ranges of a text, and where texts stand in one that joins them."""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple


class Span(NamedTuple):
    """`text[start:end]`, in characters."""

    start: int
    end: int


class JoinedTexts(NamedTuple):
    """Texts with blank lines between them, and where each of them ends."""

    text: str
    ends: list[int]

    @classmethod
    def of(cls, texts: Sequence[str]) -> "JoinedTexts":
        """The texts joined."""
        return cls("\n\n".join(texts), [end - 2 for end in accumulate(len(text) + 2 for text in texts)])

    def between(self, first: int, stop: int) -> str:
        """The texts from one place to another; empty if there are none."""
        return self.text[self.ends[first - 1] + 2 if first else 0 : self.ends[stop - 1]] if first < stop else ""
