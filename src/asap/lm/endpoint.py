"""A server of OpenAI's kind: its address and key, its pace, and asking it until it answers.

The retries are ours and not the SDK's: the SDK does not see a spoiled body or the spending limit, counts a 429 as a try, and
believes no Retry-After above a minute.

What this does not do: know what is asked for; `openai` asks for text, `scorer_server` for log-probabilities.
"""

import asyncio
import logging
import os
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from httpx2 import Limits, Timeout
from openai import AsyncOpenAI, OpenAIError

from asap.lm.address import host_of, is_local, sent_key, server_url
from asap.lm.api_error import KEPT, ApiError, Secrets
from asap.lm.bounded_client import BoundedClient, at_most
from asap.lm.engine import ENGINE_PATHS, read_engine
from asap.lm.fields import count_in, json_in, list_in, object_in
from asap.lm.generate import EndpointError, RequestRefused
from asap.lm.rate_limit import PATIENCE_S, Clock, RateLimit, backoff_s
from asap.lm.response import Served, read_model
from asap.lm.send import Answer, send_json

TRIES = 6
FAILED_IN_A_ROW = 5
_CONNECT_S = 30.0
_PAGE_S = 10.0
_COUNTING_S = 60.0
_LONGEST_PAGE = 1 << 24
_CONNECTIONS = Limits(max_connections=1000, max_keepalive_connections=100)
_URL_LOGGERS = ("httpx", "httpx2")
T = TypeVar("T")


class Sent(NamedTuple, Generic[T]):
    """The answer to one HTTP request, and what it says."""

    answer: Answer
    outcome: T | ApiError


class Endpoint:
    """A server. The key is OPENAI_API_KEY of the environment if none is given; it stays secret, and so do credentials in `base_url`.

    At most `concurrency` requests are on the wire, each for at most `timeout_s` seconds. Errors that pass are tried six times in
    all; 429s slow everybody down and are no try. Ask inside `async with`.
    """

    def __init__(
        self, model: str, *, base_url: str | None, concurrency: int, timeout_s: float, key: str | None = None, clock: Clock | None = None
    ) -> None:
        self.model = model
        self.concurrency = concurrency
        self.timeout_s = timeout_s
        self._url = server_url(base_url)
        self.host = host_of(self._url)
        self._key = os.environ.get("OPENAI_API_KEY", "").strip() if key is None else key
        self.secrets = Secrets(self._key, self._url)
        self._clock = clock or Clock()
        self._failed_in_a_row = 0

    async def __aenter__(self) -> "Endpoint":
        parts = urlsplit(self._url)
        timeout = Timeout(self.timeout_s, connect=min(self.timeout_s, _CONNECT_S))
        login = unquote(parts.netloc.rpartition("@")[0])
        self.client = AsyncOpenAI(
            api_key=sent_key(self._key, self._url),
            base_url=f"{parts.scheme}://{self.host}{parts.path}",
            default_query=dict(parse_qsl(parts.query)),
            default_headers={"Authorization": f"Basic {b64encode(login.encode()).decode()}"} if login else None,
            max_retries=0,
            timeout=timeout,
            # a proxy of the environment is not asked for what runs on this machine
            http_client=BoundedClient(timeout=timeout, limits=_CONNECTIONS, trust_env=not is_local(self._url)),
        )
        for logger in _URL_LOGGERS:
            logging.getLogger(logger).addFilter(self._hide)
        self._slots, self._rate = asyncio.Semaphore(self.concurrency), RateLimit(self.concurrency, self._clock)
        return self

    async def __aexit__(self, *error: object) -> None:
        for logger in _URL_LOGGERS:
            logging.getLogger(logger).removeFilter(self._hide)
        await self.client.close()

    def _hide(self, record: logging.LogRecord) -> bool:
        """A log filter: addresses are logged with their query."""
        record.msg, record.args = self.secrets.mask(record.getMessage()), ()
        return True

    @property
    def root(self) -> str:
        """The address of what a server has beside OpenAI's API."""
        return str(self.client.base_url).rstrip("/").removesuffix("/v1")

    async def served(self) -> Served:
        """What its list of models says about the model; servers without one say nothing."""
        try:
            with at_most(_LONGEST_PAGE):
                async with asyncio.timeout(min(self.timeout_s, _CONNECT_S)):
                    answer = await self.client.models.with_raw_response.list()
        except (OpenAIError, TimeoutError):
            return Served()
        return read_model(answer.content, self.model)

    async def engine(self) -> dict[str, Any]:
        """What the server says about its engine; servers that say nothing are fine."""
        texts = await asyncio.gather(*(self._page(path) for path in ENGINE_PATHS))
        return read_engine(dict(zip(ENGINE_PATHS, texts, strict=True)))

    async def count_messages(self, messages: Sequence[Mapping[str, str]]) -> int | None:
        """The tokens of a prompt by the server's own tokenizer and chat template; None where it does not count messages."""
        body = {"model": self.model, "messages": [dict(message) for message in messages], "add_generation_prompt": True}
        return count_in(object_in(json_in(await self._page("tokenize", body))).get("count"), 1)

    async def _page(self, path: str, body: Mapping[str, Any] | None = None) -> str:
        """The text at an address beside OpenAI's API, or the answer to a body sent there; empty where the server has none."""
        timeout_s = _PAGE_S if body is None else _COUNTING_S
        answer = await send_json(self.client, f"{self.root}/{path}", body, timeout_s=timeout_s, most=_LONGEST_PAGE)
        return answer.content.decode("utf-8", "replace") if 200 <= answer.status < 300 else ""

    async def tokenize(self, text: str) -> list[int] | None:
        """The ids of a text without special tokens, by the server's tokenizer; None where it does not tell them."""
        page = await self._page("tokenize", {"model": self.model, "prompt": text, "add_special_tokens": False})
        ids = [count_in(token) for token in list_in(object_in(json_in(page)).get("tokens"))]
        return [token for token in ids if token is not None] if ids and None not in ids else None

    async def post(self, path: str, body: Mapping[str, Any], most: int) -> Answer:
        """The answer, of at most `most` bytes, to a body sent to a path of OpenAI's API, or without a leading slash to one beside it."""
        url = path if path.startswith("/") else f"{self.root}/{path}"
        return await send_json(self.client, url, body, timeout_s=self.timeout_s, most=most)

    async def ask(self, send: Callable[[], Awaitable[Sent[T]]], changed: Callable[[ApiError], Awaitable[bool]]) -> T:
        """What a request brings. Raises RequestRefused (this request) or EndpointError (any request).

        `send` makes one HTTP request. `changed` is told of each error but a 429, and says whether the next try sends something else;
        it may raise for one that does not pass. Raises outside of any `except`, so that no traceback leads back to what the server sent.
        """
        async with self._slots:  # whoever tries again does not queue behind requests that were never sent
            failures, slowed_since = 0, None
            while True:  # ends: failures are counted, there are few things to change, and 429s go on for PATIENCE_S at most
                outcome = await self._try(send)
                if not isinstance(outcome, ApiError):
                    self._failed_in_a_row = 0
                    return outcome
                if outcome.is_rate_limit:
                    now = self._clock.now()
                    slowed_since = now if slowed_since is None else slowed_since
                    if now - slowed_since > PATIENCE_S:
                        raise RequestRefused("server_error", f"{self.host} answered 429 for {PATIENCE_S / 60:g} minutes, to others not")
                elif outcome.is_final:
                    raise self._given_up(outcome, 1)
                elif await changed(outcome):
                    continue
                elif not outcome.passes:
                    raise outcome.error(self.host, self.model)
                elif (failures := failures + 1) == TRIES:
                    raise self._given_up(outcome, TRIES)
                else:
                    slowed_since = None
                    await self._clock.sleep(backoff_s(failures, outcome.headers))

    async def _try(self, send: Callable[[], Awaitable[Sent[T]]]) -> T | ApiError:
        """One HTTP request, made when its turn comes, and what it means for the pace."""
        async with self._rate.turn() as turn:
            answer, outcome = await send()
        if answer.fatal:
            raise EndpointError(f"{self.host} cannot be asked: {answer.fatal}")
        if isinstance(outcome, ApiError) and answer.is_too_large:
            return replace(outcome, is_final=True)
        if isinstance(outcome, ApiError) and outcome.is_rate_limit:
            silent_s = self._rate.refused(turn, answer.headers)
            if silent_s > PATIENCE_S:
                raise EndpointError(f"{self.host} answers nothing but 429 and wants {silent_s / 60:.0f} minutes of patience; {KEPT} later")
        elif answer.status:
            self._rate.answered()
        return outcome

    def _given_up(self, error: ApiError, tries: int) -> Exception:
        self._failed_in_a_row += 1
        times = "once" if tries == 1 else f"{tries} times"
        if self._failed_in_a_row >= FAILED_IN_A_ROW:
            return EndpointError(f"{self.host} failed {FAILED_IN_A_ROW} requests in a row, {times} each ({error}); {KEPT}")
        how = "failed" if error.status or error.is_final else "does not answer, tried"
        return RequestRefused("server_error", f"{self.host} {how} {times} ({error})")
