"""What a run reports to whoever watches it: events, and a listener that ignores them all."""

from typing import NamedTuple

from asap.dataset import Shaped
from asap.estimate import Estimate
from asap.lm.spending import SpendingLimit


class DecidedRows(NamedTuple):
    """One piece of progress: rows and stored bytes just done, and the tokens before and after of those that worked."""

    rows: int
    size: int
    tokens_before: int
    tokens_after: int


class LlmProgress(NamedTuple):
    """What stage 1's LLM has answered and cost up to now: rows done, those that fell back, requests sent, tokens, dollars.

    Requests, tokens and dollars (None: no price is known) are the folder's, former runs included.
    """

    rows: int
    fallbacks: int
    requests: int
    tokens: int
    cost: float | None


class MeasuringProgress(NamedTuple):
    """How far `asap compare` is: rows measured of how many, and supports that had to be computed because they were not stored."""

    row: int
    rows: int
    computed: int


class Listener:
    """Receives what a run reports; the methods do nothing here."""

    def first_row(self, shaped: Shaped) -> None:
        """The first usable row was read."""

    def reading(self, rows: int) -> None:
        """So many rows were read up to now."""

    def estimated(self, estimate: Estimate, spending: SpendingLimit) -> None:
        """What the LLM would still cost."""

    def asking(self, rows: int) -> None:
        """The run starts asking stage 1's LLM about this number of rows."""

    def asked(self, asked: LlmProgress) -> None:
        """The LLM is done with one more row."""

    def scoring(self, rows: int, rows_missing: int, bytes_missing: int) -> None:
        """Reading is over: so many distinct usable rows, and so much of it is not decided yet."""

    def decided(self, done: DecidedRows) -> None:
        """Some rows were decided and stored."""

    def writing(self) -> None:
        """All rows are decided; the files are written now."""
