"""The events of a run, and a listener that ignores them all."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from asap.dataset import Shaped
from asap.dataset.source import Source, printable
from asap.errors import RowError
from asap.lm.spending import Price, SpendingLimit


class Amount(NamedTuple):
    """Requests and tokens still to pay for."""

    requests: float = 0
    prompt_tokens: float = 0
    completion_tokens: float = 0

    def plus(self, requests: float, prompt_tokens: float, completion_tokens: float) -> "Amount":
        """This amount and `requests` more requests with the given tokens each."""
        return Amount(
            self.requests + requests,
            self.prompt_tokens + requests * prompt_tokens,
            self.completion_tokens + requests * completion_tokens,
        )

    def cost(self, price: Price) -> float:
        """The price in US dollars."""
        return price.cost(round(self.prompt_tokens), round(self.completion_tokens))


class Estimate(NamedTuple):
    """What remains to be asked about `rows` traces: at least, as expected and at most.

    The expectation is based on the replies about `rows_seen` rows; if that is 0, on assumptions.
    """

    rows: int
    rows_seen: int
    low: Amount
    expected: Amount
    high: Amount
    exact: bool
    """Whether the LLM's own tokenizer counted the prompt tokens."""


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


def listened_rows(source: Source, listener: Listener) -> Iterator[tuple[str, int, Shaped | RowError]]:
    """Each row of a source up to its limit, with its printable source and its line, announced to the listener."""
    shown = False
    for number, (name, line, result) in enumerate(islice(source.rows(), source.limit), start=1):
        yield printable(name), line, result
        if not shown and not isinstance(result, RowError):
            listener.first_row(result)
            shown = True
        listener.reading(number)
