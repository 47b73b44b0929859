"""How fast a server is asked: how many at once, pauses, and what 429s do to both, on a clock that does not wait."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from scripted_server import VirtualClock

from asap.lm.rate_limit import RateLimit, backoff_s, retry_after_s


def run(test: Callable[[RateLimit, VirtualClock], Awaitable[None]], concurrency: int = 4) -> VirtualClock:
    async def inside() -> VirtualClock:
        clock = VirtualClock()
        async with asyncio.timeout(600):
            await test(RateLimit(concurrency, clock), clock)
        return clock

    return asyncio.run(inside())


async def ask(rate: RateLimit, headers: dict[str, str] | None = None, *, refused: bool = False) -> tuple[int, float]:
    async with rate.turn() as turn:
        pass
    if not refused:
        rate.answered()
        return turn, 0.0
    return turn, rate.refused(turn, headers or {})


async def most_at_once(rate: RateLimit, clock: VirtualClock, requests: int, *, answered: bool = True) -> int:
    """How many of these requests are out at the same time at most, if each takes a second."""
    out = most = 0

    async def one() -> None:
        nonlocal out, most
        async with rate.turn():
            out += 1
            most = max(most, out)
            await clock.sleep(1)
            out -= 1
        if answered:
            rate.answered()

    await asyncio.gather(*(one() for _ in range(requests)))
    return most


@pytest.mark.parametrize("concurrency", [1, 3, 16])
def test_never_more_are_out_than_allowed(concurrency: int) -> None:
    out = most = 0

    async def test(rate: RateLimit, clock: VirtualClock) -> None:
        async def one(number: int) -> None:
            nonlocal out, most
            async with rate.turn() as turn:
                out += 1
                most = max(most, out)
                await clock.sleep(number % 5)
                out -= 1
            if number % 7 == 0:
                rate.refused(turn, {"retry-after": "2"})
            else:
                rate.answered()

        await asyncio.gather(*(one(number) for number in range(60)))

    run(test, concurrency)
    assert most == concurrency


def test_a_429_halves_how_many_are_out_at_once_and_answers_raise_it_one_by_one() -> None:
    async def test(rate: RateLimit, clock: VirtualClock) -> None:
        assert await most_at_once(rate, clock, 20, answered=False) == 8
        for allowed in (4, 2, 1, 1):
            await ask(rate, refused=True)
            assert await most_at_once(rate, clock, 20, answered=False) == allowed
        for allowed in range(2, 9):
            for _ in range(allowed):  # a round more than enough
                await ask(rate)
            assert allowed - 1 <= await most_at_once(rate, clock, 20, answered=False) <= allowed
        for _ in range(100):
            await ask(rate)
        assert await most_at_once(rate, clock, 20) == 8

    run(test, concurrency=8)


def test_all_requests_come_through_whatever_is_refused() -> None:
    """Each is refused until it is sent for the third time, and every request waits in the order of asking."""
    first = list[int]()

    async def test(rate: RateLimit, clock: VirtualClock) -> None:
        async def one(number: int) -> None:
            for tries in range(3):
                async with rate.turn() as turn:
                    if not tries:
                        first.append(number)
                    await clock.sleep(1)
                if tries < 2:
                    rate.refused(turn, {})
                else:
                    rate.answered()

        await asyncio.gather(*(one(number) for number in range(30)))

    run(test, concurrency=8)
    assert first == list(range(30))


def test_without_retry_after_the_cooldown_doubles_up_to_a_minute_with_jitter() -> None:
    async def test(rate: RateLimit, clock: VirtualClock) -> None:
        waits = []
        await ask(rate, refused=True)
        for _ in range(9):
            started = clock.time
            await ask(rate, refused=True)
            waits.append(clock.time - started)
        for wait, base in zip(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
            assert 0.8 * base <= wait <= 1.2 * base
        await ask(rate)
        await ask(rate, refused=True)
        started = clock.time
        await ask(rate)
        assert clock.time - started <= 1.2  # an answer in between starts the row anew

    run(test)


def test_a_cooldown_holds_for_everybody_and_refusals_of_the_same_moment_are_one() -> None:
    async def test(rate: RateLimit, clock: VirtualClock) -> None:
        turns = []
        for _ in range(4):
            async with rate.turn() as turn:
                turns.append(turn)
        started = clock.time
        for turn in turns:
            rate.refused(turn, {})
        await asyncio.gather(*(ask(rate) for _ in range(4)))
        assert 0.8 <= clock.time - started <= 1.2

    run(test)


def test_the_server_says_how_long_the_cooldown_is() -> None:
    async def test(rate: RateLimit, clock: VirtualClock) -> None:
        await ask(rate, headers={"retry-after": "17"}, refused=True)
        started = clock.time
        await ask(rate)
        assert clock.time - started == pytest.approx(17)

    run(test)


def test_a_server_that_refuses_after_the_time_it_named_is_asked_less_and_less_often() -> None:
    async def test(rate: RateLimit, clock: VirtualClock) -> None:
        for _ in range(8):
            await ask(rate, headers={"retry-after": "0"}, refused=True)
        started = clock.time
        await ask(rate)
        assert clock.time - started >= 0.8 * 60

    run(test)


def test_refused_tells_how_long_the_server_has_said_nothing_else() -> None:
    async def test(rate: RateLimit, clock: VirtualClock) -> None:
        assert (await ask(rate, headers={"retry-after": "600"}, refused=True))[1] == pytest.approx(600)
        assert (await ask(rate, headers={"retry-after": "600"}, refused=True))[1] == pytest.approx(1200)
        await ask(rate)
        assert (await ask(rate, headers={"retry-after": "5"}, refused=True))[1] == pytest.approx(5)

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


def test_pauses_between_tries_grow_and_are_as_long_as_the_server_says() -> None:
    for failures, base in enumerate([2, 4, 8, 16, 32, 60, 60], 1):
        assert 0.8 * base <= backoff_s(failures, {}) <= 1.2 * base
    assert backoff_s(1, {"retry-after": "120"}) == 120
    assert backoff_s(1, {"retry-after": "36000"}) == 900


def test_a_waiting_request_can_be_cancelled_and_leaves_its_place_to_others() -> None:
    async def test(rate: RateLimit, clock: VirtualClock) -> None:
        await ask(rate, headers={"retry-after": "100"}, refused=True)
        waiting = asyncio.create_task(ask(rate))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.gather(*(ask(rate) for _ in range(4)))

    run(test, concurrency=1)
