"""The rate of requests to a server: fewer at once after each 429, and none for as long as the server says."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import uniform

PATIENCE_S = 900.0  # with a server that answers nothing but 429, and with the pauses that it asks for
LONGEST_BACKOFF_S = 60.0
_SHORTEST_PAUSE_S = 0.02
_LONGEST_TOLD_S = 86_400.0  # more than a day is no pause but a point in time


class Clock:
    """Monotonic seconds, and sleeping. Tests put in one that does not wait."""

    def now(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Lets others run for some seconds."""
        await asyncio.sleep(seconds)


class RateLimit:
    """Lets requests out in the order of asking: none during a pause, and no more at once than the server has shown to take.

    A 429 starts a pause for everybody, as long as the server says, else 1, 2, 4 … 60 s, and halves how many requests may be out at
    once; each round of other answers raises that by one, up to `concurrency`. 429s to requests that were out already count once.
    """

    def __init__(self, concurrency: int, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._concurrency = concurrency
        self._allowed = float(concurrency)
        self._out = 0
        self._gate = asyncio.Lock()
        self._changed = asyncio.Event()
        self._sent = self._sent_before_pause = 0
        self._pauses_in_a_row = 0
        self._open_at = 0.0
        self._refusing_since: float | None = None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[int]:
        """Waits until a request may be sent. Send it inside, once. Gives its place in the order of sending."""
        async with self._gate:
            while True:  # ends: who is out comes back, and pauses end
                if self._out >= int(self._allowed):
                    self._changed.clear()
                    await self._changed.wait()
                elif (pause_s := self._open_at - self._clock.now()) > 0:
                    await self._clock.sleep(max(pause_s, _SHORTEST_PAUSE_S))
                else:
                    break
            self._out += 1
            self._sent = turn = self._sent + 1
        try:
            yield turn
        finally:
            self._out -= 1
            self._changed.set()

    def answered(self) -> None:
        """The server answered, with anything but a 429."""
        self._pauses_in_a_row, self._refusing_since = 0, None
        self._allowed = min(self._concurrency, self._allowed + 1 / self._allowed)
        self._changed.set()

    def refused(self, turn: int, headers: Mapping[str, str]) -> float:
        """The server answered 429. Returns for how many seconds it will have said nothing else when the pause ends."""
        now = self._clock.now()
        self._refusing_since = now if self._refusing_since is None else self._refusing_since
        told_s = retry_after_s(headers)
        pause_s = told_s or 0.0
        if self._pauses_in_a_row == 0 or turn > self._sent_before_pause:
            own_s = min(LONGEST_BACKOFF_S, 2.0 ** min(self._pauses_in_a_row, 6)) * uniform(0.8, 1.2)
            # A server that keeps refusing after the time it named is not believed a second time.
            pause_s = own_s if told_s is None else max(told_s, own_s if self._pauses_in_a_row else _SHORTEST_PAUSE_S)
            self._pauses_in_a_row += 1
            self._sent_before_pause = self._sent
            self._allowed = max(1.0, self._allowed / 2)
        self._open_at = max(self._open_at, now + pause_s)
        return self._open_at - self._refusing_since


def backoff_s(failures: int, headers: Mapping[str, str]) -> float:
    """2, 4, 8 … 60 seconds with jitter before another try, or as long as the server asks if that is longer."""
    own_s = min(LONGEST_BACKOFF_S, 2.0**failures) * uniform(0.8, 1.2)
    return max(own_s, min(retry_after_s(headers) or 0.0, PATIENCE_S))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The seconds that Retry-After (seconds or a date) or retry-after-ms names; None where neither can be read, or is a day or more."""
    milliseconds, text = _number(headers.get("retry-after-ms")), headers.get("retry-after")
    seconds = _number(text.removesuffix("s")) if text else None
    if milliseconds is not None:
        seconds = milliseconds / 1000
    elif text and seconds is None and (then := _date(text)):
        seconds = max(0.0, (then - (_date(headers.get("date")) or datetime.now(UTC))).total_seconds())
    return seconds if seconds is not None and seconds <= _LONGEST_TOLD_S else None


def _date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, OverflowError, LookupError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
