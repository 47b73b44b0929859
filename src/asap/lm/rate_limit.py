"""How fast a server may be asked: requests in flight, and what its own headers tell about requests and tokens per time."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import uniform

LONGEST_COOLDOWN_S = 60.0  # without a word from the server
_SHORTEST_WAIT_S = 0.02
_ROUNDING = 1e-3  # of a request or a token
_LONGEST_WINDOW_S = 86_400.0
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
# OpenAI and most others, then Cerebras, then Mistral. Limits per day under names of their own are left to the 429s.
_REQUESTS = ("requests", "requests-minute", "req-minute")
_TOKENS = ("tokens", "tokens-minute")


class Clock:
    """Monotonic seconds, and sleeping. Tests put in one that does not wait."""

    def now(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Lets others run for so long."""
        await asyncio.sleep(seconds)


class _Allowance:
    """What may still be sent: a bucket that fills evenly up to `limit`. Without a word from the server there is no limit.

    Servers that give a whole window back at once are read too kindly between two windows; their 429s then say so.
    """

    def __init__(self) -> None:
        self.limit = self._left = float("inf")
        self._rate = self._seen_at = 0.0

    def left(self, now: float) -> float:
        return min(self.limit, self._left + self._rate * (now - self._seen_at))

    def wait_s(self, need: float, now: float) -> float:
        missing = min(need, self.limit) - self.left(now)  # more than fits at all is sent when the bucket is full
        return missing / self._rate if missing > _ROUNDING and self._rate > 0 else 0.0

    def take(self, need: float, now: float) -> None:
        self._left, self._seen_at = self.left(now) - need, now

    def learn(self, headers: Mapping[str, str], names: tuple[str, ...], on_the_way: float, now: float) -> None:
        """`on_the_way` is what was sent later than the answer's request: the server may not have counted it yet."""
        for name in names:
            limit = _number(headers.get(f"x-ratelimit-limit-{name}"))
            remaining = _number(headers.get(f"x-ratelimit-remaining-{name}"))
            if limit is None or remaining is None:
                continue
            reset_s = _seconds(headers.get(f"x-ratelimit-reset-{name}")) or 0.0
            used = limit - remaining
            self._rate = used / reset_s if used > 0 and reset_s > 0 else limit / 60
            self.limit, self._left, self._seen_at = limit, remaining - on_the_way, now
            return


class Pace:
    """Lets requests out: at most `concurrency` at once, none during a cooldown, none that the server's limits forbid.

    A 429 starts a cooldown for everybody: as long as the server says, else 1, 2, 4 … 60 s; 429s to requests that were on the wire
    already do not lengthen the row. Waiting is in the order of asking.
    """

    def __init__(self, concurrency: int, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._slots = asyncio.Semaphore(concurrency)
        self._gate = asyncio.Lock()
        self._requests, self._tokens = _Allowance(), _Allowance()
        self._on_wire: dict[int, int] = {}  # tokens by number of the turn
        self._sent = self._heard = 0
        self._open_at = 0.0
        self._sent_before_cooldown = 0
        self._waves = 0
        self._refusing_since: float | None = None

    @asynccontextmanager
    async def turn(self, tokens: int) -> AsyncIterator[int]:
        """Waits until a request of about so many tokens (prompt and reply) may be sent. Send it inside, once.

        Gives its place in the order of sending.
        """
        async with self._slots:
            async with self._gate:
                while wait_s := self._wait_s(tokens):  # ends: what is on the wire changes it a last time, then time passes
                    await self._clock.sleep(max(wait_s, _SHORTEST_WAIT_S))
                now = self._clock.now()
                self._requests.take(1, now)
                self._tokens.take(tokens, now)
                self._sent = turn = self._sent + 1
                self._on_wire[turn] = tokens
            try:
                yield turn
            finally:
                del self._on_wire[turn]

    def answered(self, turn: int, headers: Mapping[str, str]) -> None:
        """The server answered, with anything but a 429."""
        self._waves = 0
        self._refusing_since = None
        self._learn(turn, headers)

    def refused(self, turn: int, headers: Mapping[str, str]) -> float:
        """The server answered 429. Returns for how many seconds it will have said nothing else when the cooldown ends."""
        now = self._clock.now()
        self._refusing_since = now if self._refusing_since is None else self._refusing_since
        self._learn(turn, headers)
        told_s = retry_after_s(headers)
        if self._waves == 0 or turn > self._sent_before_cooldown:
            backoff_s = min(LONGEST_COOLDOWN_S, 2.0 ** min(self._waves, 6)) * uniform(0.8, 1.2)
            # A server that keeps refusing after the time it named is not believed a second time.
            wait_s = backoff_s if told_s is None else max(told_s, backoff_s if self._waves else _SHORTEST_WAIT_S)
            self._waves += 1
            self._sent_before_cooldown = self._sent
        else:
            wait_s = told_s or 0.0
        self._open_at = max(self._open_at, now + wait_s)
        return self._open_at - self._refusing_since

    def _wait_s(self, tokens: int) -> float:
        now = self._clock.now()
        return max(0.0, self._open_at - now, self._requests.wait_s(1, now), self._tokens.wait_s(tokens, now))

    def _learn(self, turn: int, headers: Mapping[str, str]) -> None:
        if turn < self._heard:
            return  # a later request's answer tells more
        self._heard = turn
        later = [tokens for number, tokens in self._on_wire.items() if number > turn]
        now = self._clock.now()
        self._requests.learn(headers, _REQUESTS, len(later), now)
        self._tokens.learn(headers, _TOKENS, sum(later), now)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The seconds that Retry-After (seconds or a date) or retry-after-ms names; None where there is none to be read."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _seconds(text)
    if seconds is not None or not text:
        return seconds
    then, now = _date(text), _date(headers.get("date")) or datetime.now(UTC)
    return max(0.0, (then - now).total_seconds()) if then else None


def _date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _seconds(text: str | None) -> float | None:
    """`20ms`, `1s`, `6m0s`, `7.66` or nothing; a point in time is not a duration."""
    seconds = _number(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text or "")
    if seconds is None and parts and "".join(map("".join, parts)) == text:
        seconds = sum(float(amount) * _UNITS[unit] for amount, unit in parts)
    return seconds if seconds is not None and seconds <= _LONGEST_WINDOW_S else None
