"""The HTTP client for servers: no answer is larger than whoever asks allows, and no request follows a redirect to another host.

What this does not do: bound seconds, which whoever asks does (`send`), or read an answer.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpx2

from asap.lm.fields import AnswerTooLarge
from asap.lm.generate import EndpointError

_MOST: ContextVar[int] = ContextVar("bytes of an answer", default=1 << 24)
_MOST_OF_ERRORS = 1 << 16  # what an error says further on is left out
_REDIRECTS = 5
_SHOWN = 200


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Lets answers inside have so many bytes, decompressed."""
    before = _MOST.set(size)
    try:
        yield
    finally:
        _MOST.reset(before)


class BoundedClient(httpx2.AsyncClient):
    """An HTTP client that raises AnswerTooLarge for an answer above `at_most`, and EndpointError for a redirect away from the server."""

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """The answer to a request, after redirects within the same host."""
        for _ in range(_REDIRECTS + 1):
            response = await super().send(request, stream=True, **{**options, "follow_redirects": False})
            if response.next_request is None:
                return await _bounded(response, read=not stream)
            await response.aclose()
            request = _within_host(request, response.next_request)
        raise EndpointError(f"{_shown(request.url)} answers with one redirect after the other; check the address of --base-url")


def _within_host(request: httpx2.Request, following: httpx2.Request) -> httpx2.Request:
    """The request that a redirect asks for. Raises EndpointError if it leaves the host, or would lose its body."""
    here, there = request.url, following.url
    places = [(url.scheme, url.host, url.port) for url in (here, there)]
    upgraded = (here.scheme, there.scheme, here.host, here.port, there.port) == ("http", "https", there.host, None, None)
    if places[0] != places[1] and not upgraded:
        raise EndpointError(
            f"{_shown(here)} redirects to {_shown(there)}, and neither prompts nor keys are sent on to another host; "
            "if that is the right one, name it with --base-url"
        )
    if following.method != request.method:
        raise EndpointError(f"{_shown(here)} redirects to {_shown(there)}{there.path[:_SHOWN]}; name that address with --base-url")
    return following


def _shown(url: httpx2.URL) -> str:
    return url.netloc.decode("ascii", "replace").rpartition("@")[2][:_SHOWN]


async def _bounded(response: httpx2.Response, *, read: bool) -> httpx2.Response:
    """The same answer with a bounded body, already decompressed."""
    headers = [(name, value) for name, value in response.headers.multi_items() if name not in ("content-encoding", "content-length")]
    bounded = httpx2.Response(
        response.status_code, headers=headers, stream=_Body(response), request=response.request, extensions=response.extensions
    )
    if read:
        await bounded.aread()
    return bounded


class _Body(httpx2.AsyncByteStream):
    """The decompressed bytes of an answer, as far as they may be; of an error its beginning."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self._most = _MOST.get()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size, is_error = 0, self._response.status_code >= 300
        async for piece in self._response.aiter_bytes():
            size += len(piece)
            if is_error and size > _MOST_OF_ERRORS:
                yield piece[: max(0, len(piece) - (size - _MOST_OF_ERRORS))]
                return
            if size > self._most:
                raise AnswerTooLarge(f"the answer has more than {self._most:,} bytes, more than an answer to this request can need")
            yield piece

    async def aclose(self) -> None:
        await self._response.aclose()
