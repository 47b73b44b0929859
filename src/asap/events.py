"""The events of a run, and a listener that ignores them all."""

from typing import NamedTuple

from asap.dataset import Shaped
from asap.lm.spending import Estimate, SpendingLimit


class DecidedRows(NamedTuple):
    """One piece of progress: rows and stored bytes just done, and the tokens of the successful rows before and after."""

    rows: int
    size: int
    tokens_before: int
    tokens_after: int


class LlmProgress(NamedTuple):
    """The progress of stage 1's LLM: rows done, rows that fell back, requests sent, tokens, dollars.

    Requests, tokens and dollars (None: no known price) are totals of the folder, over all its runs.
    """

    rows: int
    fallbacks: int
    requests: int
    tokens: int
    cost: float | None


class MeasuringProgress(NamedTuple):
    """The progress of `asap compare`: rows measured, rows in total, and supports computed because none was stored."""

    row: int
    rows: int
    computed: int


class Listener:
    """Receives a run's events; its methods do nothing."""

    def first_row(self, shaped: Shaped) -> None:
        """The first usable row was read."""

    def reading(self, rows: int) -> None:
        """This many rows have been read."""

    def unchanged(self, rows: int) -> None:
        """The source, of this many rows, is as it was and is not read again."""

    def estimated(self, estimate: Estimate, spending: SpendingLimit) -> None:
        """The estimated cost of the LLM."""

    def asking(self, rows: int) -> None:
        """The run starts asking stage 1's LLM about this many rows."""

    def asked(self, asked: LlmProgress) -> None:
        """The LLM finished one more row."""

    def scoring(self, rows: int, rows_missing: int, bytes_missing: int) -> None:
        """Reading is over: the number of distinct usable rows, and how many rows and bytes are not decided yet."""

    def decided(self, done: DecidedRows) -> None:
        """Some rows were decided and stored."""

    def writing(self) -> None:
        """All rows are decided; writing the files starts."""
