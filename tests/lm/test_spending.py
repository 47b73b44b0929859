"""Prices from the snapshot, counts before sending, and a spending that cannot be overdrawn."""

import asyncio
import socket
import sys
from datetime import UTC, datetime

import pytest

from asap.errors import UsageError
from asap.lm.address import server_url
from asap.lm.generate import SpendingStop
from asap.lm.spending import Price, SpendingLimit, find_price
from asap.lm.tokens import count_prompt, count_tokens

PRICE = Price(2.0, 10.0)  # 1000 + 1000 tokens cost 0.012 USD


@pytest.fixture(autouse=True)
def no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_cost_is_per_million_tokens() -> None:
    assert PRICE.cost(1_000_000, 100_000) == pytest.approx(3.0)


@pytest.mark.usefixtures("no_network")
def test_the_price_of_a_known_model_is_found_without_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    price = find_price("gpt-4o-mini")
    assert price is not None
    assert 0 < price.input < price.output
    assert find_price("gpt-4o-mini", "https://user:secret@api.openai.com/v1?x=1") == price
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.deepseek.com")
    assert find_price("gpt-4o-mini") is None
    assert find_price("deepseek-chat") is not None


def test_a_price_that_depends_on_the_hour_is_the_highest_of_the_day() -> None:
    from genai_prices import Usage, calc_price

    price = find_price("deepseek-chat", "https://api.deepseek.com")
    assert price is not None
    for hour in range(24):
        then = calc_price(
            Usage(input_tokens=1000, output_tokens=1000),
            "deepseek-chat",
            provider_api_url="https://api.deepseek.com",
            genai_request_timestamp=datetime.now(UTC).replace(hour=hour),
        )
        assert price.input >= 1000 * float(then.input_price)
        assert price.output >= 1000 * float(then.output_price)


@pytest.mark.parametrize(
    ("model", "base_url"), [("qwen3", "http://127.0.0.1:8000/v1"), ("no-such-model", None), ("gpt-4o", "https://api.deepseek.com")]
)
def test_unknown_models_and_servers_have_no_price(model: str, base_url: str | None) -> None:
    assert find_price(model, base_url) is None


def test_without_the_package_there_is_no_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    assert find_price("gpt-4o-mini") is None


def test_the_address_is_the_given_one_or_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert server_url(None) == "https://api.openai.com/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://there/v1")
    assert server_url(None) == "http://there/v1"
    assert server_url("http://here/v1") == "http://here/v1"


def test_counts_without_a_tokenizer_are_estimates_from_bytes() -> None:
    assert count_tokens("x" * 35, None) == 10
    assert count_tokens("é" * 35, None) == 20
    assert count_tokens("", None) == 0
    assert count_prompt([{"role": "user", "content": "x" * 35}] * 2, None) == 36


def test_a_limit_on_cost_needs_a_price() -> None:
    with pytest.raises(UsageError, match="--price-in and --price-out"):
        SpendingLimit(None, max_cost=1.0)


async def spend(spending: SpendingLimit, prompt: int, completion: int, used: tuple[int, int] | None, *, pause: bool = False) -> None:
    async with spending.reserve(prompt, completion) as reservation:
        if pause:
            await asyncio.sleep(0)
        if used:
            spending.settle(reservation, *used)


def test_what_was_used_is_counted_and_what_was_held_back_is_free_again() -> None:
    spending = SpendingLimit(PRICE, max_cost=0.02)
    for _ in range(10):
        asyncio.run(spend(spending, 1000, 1000, (100, 10)))  # another event loop each time
    assert (spending.requests, spending.prompt_tokens, spending.completion_tokens) == (10, 1000, 100)
    assert spending.spent == pytest.approx(0.003)


def test_a_try_without_an_answer_counts_in_full() -> None:
    spending = SpendingLimit(PRICE)
    asyncio.run(spend(spending, 1000, 1000, None))
    assert spending.spent == pytest.approx(0.012)
    assert spending.prompt_tokens == 0


def test_the_run_stops_before_a_request_that_could_pass_the_limit() -> None:
    spending = SpendingLimit(PRICE, max_cost=0.03)
    asyncio.run(spend(spending, 1000, 1000, (1000, 1000)))
    asyncio.run(spend(spending, 1000, 1000, (1000, 1000)))
    with pytest.raises(SpendingStop, match=r"0\.0240 USD are spent.*--max-cost 0\.03 allows.*kept"):
        asyncio.run(spend(spending, 1000, 1000, None))
    assert spending.requests == 2
    asyncio.run(spend(spending, 1000, 100, (1000, 100)))  # a smaller one still fits


def test_a_request_waits_for_others_to_settle_instead_of_stopping() -> None:
    spending = SpendingLimit(PRICE, max_cost=0.015)

    async def all_of_them() -> None:
        async with asyncio.timeout(600):
            await asyncio.gather(*(spend(spending, 1000, 1000, (10, 10), pause=True) for _ in range(20)))

    asyncio.run(all_of_them())
    assert spending.requests == 20


def test_many_at_once_never_pass_the_limit_and_all_end() -> None:
    spending = SpendingLimit(PRICE, max_cost=0.095)

    async def all_of_them() -> list[BaseException | None]:
        async with asyncio.timeout(600):
            return await asyncio.gather(*(spend(spending, 1000, 1000, (1000, 900), pause=True) for _ in range(50)), return_exceptions=True)

    results = asyncio.run(all_of_them())
    assert spending.spent <= 0.095
    assert {type(result) for result in results} == {type(None), SpendingStop}
    assert sum(result is None for result in results) == spending.requests == 8


def test_every_try_counts_against_the_number_of_requests() -> None:
    spending = SpendingLimit(None, max_requests=2)
    asyncio.run(spend(spending, 1, 1, None))
    asyncio.run(spend(spending, 1, 1, (1, 1)))
    with pytest.raises(SpendingStop, match="--max-requests"):
        asyncio.run(spend(spending, 1, 1, (1, 1)))
    assert spending.requests == 2
    assert spending.spent == 0


def test_what_former_runs_spent_counts() -> None:
    spending = SpendingLimit(PRICE, max_cost=0.02, max_requests=5)
    spending.begin(4, 1000, 1000)
    assert (spending.requests, spending.prompt_tokens, spending.completion_tokens) == (4, 1000, 1000)
    assert spending.spent == pytest.approx(0.012)
    with pytest.raises(SpendingStop):
        asyncio.run(spend(spending, 1000, 1000, None))


def test_an_address_that_is_none_has_no_price() -> None:
    assert find_price("gpt-4o-mini", "http://[::1") is None
