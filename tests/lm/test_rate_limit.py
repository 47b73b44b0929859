"""How fast a server is asked: slots, cooldowns and the limits that headers tell, on a clock that does not wait."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from scripted_server import VirtualClock

from asap.lm.rate_limit import Pace, retry_after_s


def run(test: Callable[[Pace, VirtualClock], Awaitable[None]], concurrency: int = 4) -> VirtualClock:
    async def inside() -> VirtualClock:
        clock = VirtualClock()
        async with asyncio.timeout(10):
            await test(Pace(concurrency, clock), clock)
        return clock

    return asyncio.run(inside())


async def ask(pace: Pace, tokens: int = 1, headers: dict[str, str] | None = None, *, refused: bool = False) -> tuple[int, float]:
    async with pace.turn(tokens) as turn:
        pass
    if not refused:
        pace.answered(turn, headers or {})
        return turn, 0.0
    return turn, pace.refused(turn, headers or {})


def limits(kind: str, limit: object, remaining: object, reset: str | None = None) -> dict[str, str]:
    told = {f"x-ratelimit-limit-{kind}": str(limit), f"x-ratelimit-remaining-{kind}": str(remaining)}
    return told if reset is None else {**told, f"x-ratelimit-reset-{kind}": reset}


@pytest.mark.parametrize("concurrency", [1, 3, 16])
def test_never_more_are_out_than_allowed(concurrency: int) -> None:
    out = most = 0

    async def test(pace: Pace, clock: VirtualClock) -> None:
        async def one(number: int) -> None:
            nonlocal out, most
            async with pace.turn(10) as turn:
                out += 1
                most = max(most, out)
                await clock.sleep(number % 5)
                out -= 1
            if number % 7 == 0:
                pace.refused(turn, {"retry-after": "2"})
            else:
                pace.answered(turn, limits("requests", 20, 5, "15s"))

        await asyncio.gather(*(one(number) for number in range(60)))

    run(test, concurrency)
    assert most == concurrency


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [("20ms", 0.02), ("1s", 1), ("6m0s", 360), ("1m2.5s", 62.5), ("1h0m0s", 3600), ("7.66", 7.66), ("90", 90), ("1d", 86_400)],
)
def test_reset_times_are_read_in_every_spelling(reset: str, seconds: float) -> None:
    async def test(pace: Pace, clock: VirtualClock) -> None:
        await ask(pace, headers=limits("requests", 1, 0, reset))
        started = clock.time
        await ask(pace)
        assert clock.time - started == pytest.approx(seconds)

    run(test)


@pytest.mark.parametrize("reset", ["1732350000", "soon", "-3", "6m0", "nan", ""])
def test_a_reset_that_is_no_duration_counts_as_a_minute(reset: str) -> None:
    async def test(pace: Pace, clock: VirtualClock) -> None:
        await ask(pace, headers=limits("requests", 60, 0, reset))
        started = clock.time
        await ask(pace)
        assert clock.time - started == pytest.approx(1)

    run(test)


@pytest.mark.parametrize("kind", ["requests", "requests-minute", "req-minute"])
def test_requests_are_spread_as_the_server_refills(kind: str) -> None:
    async def test(pace: Pace, clock: VirtualClock) -> None:
        await ask(pace, headers=limits(kind, 60, 0))
        started = clock.time
        for _ in range(10):
            await ask(pace)
        assert clock.time - started == pytest.approx(10, rel=0.01)

    run(test)


@pytest.mark.parametrize("kind", ["tokens", "tokens-minute"])
def test_a_request_waits_for_the_tokens_that_it_needs(kind: str) -> None:
    async def test(pace: Pace, clock: VirtualClock) -> None:
        await ask(pace, headers=limits(kind, 6000, 1000, "50s"))  # 100 a second
        started = clock.time
        await ask(pace, 900)
        assert clock.time == started
        await ask(pace, 2100)
        assert clock.time - started == pytest.approx(20)

    run(test)


def test_a_request_above_the_limit_is_sent_when_everything_is_back() -> None:
    async def test(pace: Pace, clock: VirtualClock) -> None:
        await ask(pace, headers=limits("tokens", 1000, 0, "10s"))
        started = clock.time
        await ask(pace, 50_000)
        assert clock.time - started == pytest.approx(10)

    run(test)


def test_without_limits_or_with_nonsense_nothing_waits() -> None:
    async def test(pace: Pace, clock: VirtualClock) -> None:
        for headers in ({}, limits("requests", "many", "few"), limits("tokens", 0, 0), {"x-ratelimit-limit-requests": "5"}):
            await ask(pace, 10**9, headers)
        await ask(pace, 10**9)

    assert run(test).slept == []


def test_what_was_sent_later_than_the_answers_request_is_counted_off() -> None:
    async def test(pace: Pace, clock: VirtualClock) -> None:
        async with pace.turn(1) as first:
            pass
        async with pace.turn(500):  # on its way while the first answer comes
            pace.answered(first, limits("tokens", 600, 600, "60s"))
            started = clock.time
            await ask(pace, 200)
            assert clock.time - started == pytest.approx(10)  # 100 are left of 600, which come back at 10 a second

    run(test)


def test_an_old_answer_does_not_undo_what_a_later_one_told() -> None:
    async def test(pace: Pace, clock: VirtualClock) -> None:
        async with pace.turn(1) as old:
            await ask(pace, headers=limits("requests", 60, 0))
        pace.answered(old, limits("requests", 60, 60))
        started = clock.time
        await ask(pace)
        assert clock.time - started == pytest.approx(1)

    run(test)


def test_without_retry_after_the_cooldown_doubles_up_to_a_minute_with_jitter() -> None:
    async def test(pace: Pace, clock: VirtualClock) -> None:
        waits = []
        await ask(pace, refused=True)
        for _ in range(9):
            started = clock.time
            await ask(pace, refused=True)
            waits.append(clock.time - started)
        for wait, base in zip(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
            assert 0.8 * base <= wait <= 1.2 * base
        await ask(pace)
        await ask(pace, refused=True)
        started = clock.time
        await ask(pace)
        assert clock.time - started <= 1.2  # an answer in between starts the row anew

    run(test)


def test_a_cooldown_holds_for_everybody_and_refusals_of_the_same_moment_are_one() -> None:
    async def test(pace: Pace, clock: VirtualClock) -> None:
        turns = []
        for _ in range(4):
            async with pace.turn(1) as turn:
                turns.append(turn)
        started = clock.time
        for turn in turns:
            pace.refused(turn, {})
        await asyncio.gather(*(ask(pace) for _ in range(4)))
        assert 0.8 <= clock.time - started <= 1.2

    run(test)


def test_the_server_says_how_long_the_cooldown_is() -> None:
    async def test(pace: Pace, clock: VirtualClock) -> None:
        await ask(pace, headers={"retry-after": "17"}, refused=True)
        started = clock.time
        await ask(pace)
        assert clock.time - started == pytest.approx(17)

    run(test)


def test_a_server_that_refuses_after_the_time_it_named_is_asked_less_and_less_often() -> None:
    async def test(pace: Pace, clock: VirtualClock) -> None:
        for _ in range(8):
            await ask(pace, headers={"retry-after": "0"}, refused=True)
        started = clock.time
        await ask(pace)
        assert clock.time - started >= 0.8 * 60

    run(test)


def test_refused_tells_how_long_the_server_has_said_nothing_else() -> None:
    async def test(pace: Pace, clock: VirtualClock) -> None:
        assert (await ask(pace, headers={"retry-after": "600"}, refused=True))[1] == pytest.approx(600)
        assert (await ask(pace, headers={"retry-after": "600"}, refused=True))[1] == pytest.approx(1200)
        await ask(pace)
        assert (await ask(pace, headers={"retry-after": "5"}, refused=True))[1] == pytest.approx(5)

    run(test)


def test_retry_after_is_read_in_every_spelling() -> None:
    then = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
    date = format_datetime(then, usegmt=True)
    assert retry_after_s({"retry-after": date, "date": format_datetime(then.replace(second=10), usegmt=True)}) == 20
    assert retry_after_s({"retry-after": date, "date": format_datetime(then.replace(minute=1), usegmt=True)}) == 0
    assert retry_after_s({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert retry_after_s({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    assert retry_after_s({"retry-after": "1.5"}) == 1.5
    assert retry_after_s({"retry-after": "2s"}) == 2
    assert retry_after_s({"retry-after": "later"}) is None
    assert retry_after_s({}) is None


def test_a_waiting_request_can_be_cancelled_and_leaves_its_place_to_others() -> None:
    async def test(pace: Pace, clock: VirtualClock) -> None:
        await ask(pace, headers={"retry-after": "100"}, refused=True)
        waiting = asyncio.create_task(ask(pace))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.gather(*(ask(pace) for _ in range(4)))

    run(test, concurrency=1)
