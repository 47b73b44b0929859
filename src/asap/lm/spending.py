"""What asking a server costs: list prices, and a spending limit that reserves the worst case before each request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

from asap.errors import UsageError
from asap.lm.address import server_url
from asap.lm.generate import SpendingStop


class Price(NamedTuple):
    """USD per million tokens."""

    input: float
    output: float

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """USD for these numbers of tokens, which may be averages."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6


def find_price(model: str, base_url: str | None = None) -> Price | None:
    """The list price of a model at a provider, from the snapshot inside `genai-prices`; nothing is fetched.

    Where the price depends on the hour, the highest of the next 24 hours: a run may last that long. Cached prompts and longer
    contexts at other prices are left out. None where the package, the provider or the model is not known.
    """
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        return None
    usage = Usage(input_tokens=1000, output_tokens=1000)  # a short context: longer ones may have other prices
    now = datetime.now(UTC)
    hours = [now + timedelta(minutes=minutes) for minutes in range(0, 24 * 60, 30)]
    try:
        url = urlsplit(server_url(base_url))
        address = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
        prices = [calc_price(usage, model, provider_api_url=address, genai_request_timestamp=hour) for hour in hours]
    except (LookupError, ValueError):
        return None
    return Price(float(1000 * max(price.input_price for price in prices)), float(1000 * max(price.output_price for price in prices)))


class Reservation:
    """What one request may cost, reserved while it is out, and what it did cost: in full until it is settled."""

    def __init__(self, bound: float) -> None:
        self.bound = self.cost = bound
        self.prompt_tokens = self.completion_tokens = 0


class SpendingLimit:
    """What a run has spent and may spend: `spent` in USD (0 without a price), `requests` with every HTTP try, and tokens.

    The requests that are out can never cost more than is left of `max_cost`, if servers keep to max_tokens and prompts are
    counted right. A try that broke off without an answer counts in full, because the server may bill it.
    """

    def __init__(self, price: Price | None, max_cost: float | None = None, max_requests: int | None = None) -> None:
        if max_cost is not None and price is None:
            raise UsageError(
                "--max-cost needs the model's price, which is not known; give --price-in and --price-out (USD per million tokens)"
            )
        self.price, self.max_cost, self.max_requests = price, max_cost, max_requests
        self.spent = 0.0
        self.requests = self.prompt_tokens = self.completion_tokens = 0
        self._reserved = 0.0
        self._out = 0
        self._settled = asyncio.Event()

    def begin(self, requests: int, prompt_tokens: int, completion_tokens: int) -> None:
        """Count in what former runs have spent already."""
        prompt_tokens, completion_tokens = max(0, prompt_tokens), max(0, completion_tokens)  # versions before believed any usage
        self.requests += requests
        self._spend(self._cost(prompt_tokens, completion_tokens), prompt_tokens, completion_tokens)

    @asynccontextmanager
    async def reserve(self, prompt_tokens: int, max_tokens: int) -> AsyncIterator[Reservation]:
        """Reserves what a request may cost, for as long as it is out. Waits for others to settle; raises SpendingStop."""
        reservation = Reservation(self._cost(prompt_tokens, max_tokens))
        await self._afford(reservation.bound)
        self.requests += 1
        self._reserved += reservation.bound
        self._out += 1
        try:
            yield reservation
        finally:
            self._out -= 1
            self._reserved = self._reserved - reservation.bound if self._out else 0.0  # exactly, however many floats were added
            self._spend(reservation.cost, reservation.prompt_tokens, reservation.completion_tokens)
            settled, self._settled = self._settled, asyncio.Event()
            settled.set()

    def settle(self, reservation: Reservation, prompt_tokens: int, completion_tokens: int) -> None:
        """Record what the request used; nothing where the server refused it."""
        reservation.prompt_tokens, reservation.completion_tokens = prompt_tokens, completion_tokens
        reservation.cost = self._cost(prompt_tokens, completion_tokens)

    def _cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        return self.price.cost(prompt_tokens, completion_tokens) if self.price else 0.0

    def _spend(self, cost: float, prompt_tokens: int, completion_tokens: int) -> None:
        self.spent += cost
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens

    async def _afford(self, bound: float) -> None:
        while True:  # ends: each round waits for a request that is out
            if self.max_requests is not None and self.requests >= self.max_requests:
                raise SpendingStop(
                    f"{self.requests:,} requests were sent, as many as --max-requests allows; what was answered is kept, "
                    "and the same command with a higher limit goes on"
                )
            if self.max_cost is None or self.spent + self._reserved + bound <= self.max_cost:
                return
            if not self._out or self.spent + bound > self.max_cost:
                raise SpendingStop(
                    f"{self.spent:.4f} USD are spent, and the next request may cost {bound:.4f}, more than --max-cost {self.max_cost:g} "
                    "allows; what was answered is kept, and the same command with a higher limit goes on"
                )
            await self._settled.wait()


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
