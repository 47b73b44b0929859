"""What a run reports to whoever watches it: events, and a listener that ignores them all."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from asap.dataset import Shaped
from asap.dataset.source import Source, printable
from asap.errors import RowError
from asap.lm.spending import Price, SpendingLimit


class Amount(NamedTuple):
    """Requests and tokens still to be paid for."""

    requests: float = 0
    prompt_tokens: float = 0
    completion_tokens: float = 0

    def plus(self, requests: float, prompt_tokens: float, completion_tokens: float) -> "Amount":
        """So many requests more, of so many tokens each."""
        return Amount(
            self.requests + requests,
            self.prompt_tokens + requests * prompt_tokens,
            self.completion_tokens + requests * completion_tokens,
        )

    def cost(self, price: Price) -> float:
        """US dollars."""
        return price.cost(round(self.prompt_tokens), round(self.completion_tokens))


class Estimate(NamedTuple):
    """What is still to be asked for `rows` traces of which nothing is known yet, at least, as expected and at most.

    `rows_seen`: the expectation rests on the replies about so many rows; 0: on assumptions.
    """

    rows: int
    rows_seen: int
    low: Amount
    expected: Amount
    high: Amount
    exact: bool
    """Whether prompt tokens are counted with the LLM's own tokenizer."""


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


def listened_rows(source: Source, listener: Listener) -> Iterator[tuple[str, int, Shaped | RowError]]:
    """Each row of a source up to its limit, with its printable source and its line; the listener hears of it."""
    shown = False
    for number, (name, line, result) in enumerate(islice(source.rows(), source.limit), start=1):
        yield printable(name), line, result
        if not shown and not isinstance(result, RowError):
            listener.first_row(result)
            shown = True
        listener.reading(number)
