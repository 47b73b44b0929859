"""A server that speaks OpenAI's chat completions (OpenAI, DeepSeek, vLLM, SGLang, llama.cpp, …), safe to ask all night long."""

import asyncio
import logging
import os
from base64 import b64encode
from collections.abc import Collection, Mapping
from ipaddress import ip_address
from random import uniform
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from asap.errors import UsageError
from asap.lm.api_error import KEPT, ApiError, Secrets
from asap.lm.generate import EndpointError, Generation, Request, RequestRefused
from asap.lm.rate_limit import Clock, Pace, retry_after_s
from asap.lm.response import read_model, read_reply
from asap.lm.spending import OPENAI_URL, SpendingLimit, server_url
from asap.lm.tokens import count_prompt

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from asap.lm.tokens import TokenCounter

TRIES = 6
PATIENCE_S = 900.0  # with a server that answers nothing but 429, and with the waits that it asks for
LOST_IN_A_ROW = 5
_LEAST_ROOM = 64  # tokens; a prompt that leaves less than this is for the server to refuse
_LONGEST_BACKOFF_S = 60.0
_CONNECT_S = 30.0
_URL_LOGGERS = ("httpx", "httpx2")
_NO_KEY = "none"  # servers without keys want the header all the same
_CUT_SHORT = ("insufficient_system_resource", "abort", "error")  # the server's own trouble, told as a finish reason


class _Lost(Exception):
    """A try that may be repeated."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.said)
        self.error = error


class OpenAIServer:
    """A Generator that asks a server. The key is OPENAI_API_KEY of the environment if none is given; it stays secret, and so do
    credentials in `base_url`.

    At most `concurrency` requests are on the wire, each for at most `timeout_s` seconds. Faults that pass are tried six times
    in all; 429s slow everybody down and are no try. `spending` bounds what is spent. What the server does not take (a JSON schema,
    max_tokens by that name, temperature, top_p) is left out for the rest of the run; `identity` tells which samplers were.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        concurrency: int = 16,
        spending: SpendingLimit | None = None,
        context_tokens: int | None = None,
        tokens: "TokenCounter | None" = None,
        timeout_s: float = 600.0,
        key: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._url = server_url(base_url)
        self.host = _host(self._url)
        self._key = os.environ.get("OPENAI_API_KEY", "").strip() if key is None else key
        self.secrets = Secrets(self._key, self._url)
        self._identity = {"model": model, "host": self.host}
        self.model = model
        self.identity: Mapping[str, str] = self._identity
        self.context_tokens = context_tokens
        self.concurrency = concurrency
        self.tokens = tokens
        self.spending = spending or SpendingLimit(None)
        self._timeout_s = timeout_s
        self._clock = clock or Clock()
        self.left_out: set[str] = set()
        """What the server does not take, as far as that is known."""
        self._lost_in_a_row = 0

    def __repr__(self) -> str:
        return f"OpenAIServer({self.model!r}, host={self.host!r})"

    async def __aenter__(self) -> "OpenAIServer":
        from openai import AsyncOpenAI, DefaultAsyncHttpx2Client, Timeout

        parts = urlsplit(self._url)
        timeout = Timeout(self._timeout_s, connect=min(self._timeout_s, _CONNECT_S))
        login = unquote(parts.netloc.rpartition("@")[0])
        self.client = AsyncOpenAI(
            api_key=_checked(self._key, self._url),
            base_url=f"{parts.scheme}://{self.host}{parts.path}",
            default_query=dict(parse_qsl(parts.query)),
            default_headers={"Authorization": f"Basic {b64encode(login.encode()).decode()}"} if login else None,
            max_retries=0,
            timeout=timeout,
            # a proxy of the environment is not asked for what runs on this machine
            http_client=DefaultAsyncHttpx2Client(timeout=timeout, trust_env=False) if _is_local(parts.hostname or "") else None,
        )
        for logger in _URL_LOGGERS:
            logging.getLogger(logger).addFilter(self._hide)
        self._pace = Pace(self.concurrency, self._clock)
        try:
            await self._ask_about_model()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        for logger in _URL_LOGGERS:
            logging.getLogger(logger).removeFilter(self._hide)
        await self.client.close()

    def _hide(self, record: logging.LogRecord) -> bool:
        """A log filter: addresses are logged with their query."""
        record.msg, record.args = self.secrets.mask(record.getMessage()), ()
        return True

    async def generate(self, request: Request) -> Generation:
        """The reply. Raises RequestRefused (this request), EndpointError (any request) or SpendingStop."""
        from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt

        retrying = AsyncRetrying(
            sleep=self._clock.sleep, stop=stop_after_attempt(TRIES), wait=_backoff_s, retry=retry_if_exception_type(_Lost), reraise=True
        )
        try:
            reply: Generation = await retrying(self._answer, request)
        except _Lost as lost:
            error = lost.error
        else:
            self._lost_in_a_row = 0
            return reply
        # Raised out here, so that no traceback leads back to what the server sent.
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= LOST_IN_A_ROW:
            raise EndpointError(f"{self.host} failed {LOST_IN_A_ROW} requests in a row, {TRIES} times each ({error}); {KEPT}")
        raise RequestRefused("server_error", f"{self.host} failed {TRIES} times ({error})")

    async def _answer(self, request: Request) -> Generation:
        prompt_tokens = count_prompt(request.messages, self.tokens)
        left_out, slowed_since = set(self.left_out), None
        while True:  # ends: a round leaves out one more of five things, or is a 429, and these go on for PATIENCE_S at most
            body = self.body(request, left_out)
            outcome = await self._try(body, request, prompt_tokens)
            if isinstance(outcome, Generation):
                self.leave_out(left_out)
                return outcome
            if outcome.is_rate_limit:
                now = self._clock.now()
                slowed_since = now if slowed_since is None else slowed_since
                if now - slowed_since > PATIENCE_S:
                    raise RequestRefused("server_error", f"{self.host} answered 429 for {PATIENCE_S / 60:g} minutes, to others not")
            elif name := outcome.not_taken(body):
                left_out.add(name)
            elif outcome.passes:
                raise _Lost(outcome)
            else:
                raise outcome.error(self.host, self.model)

    async def _try(self, body: dict[str, Any], request: Request, prompt_tokens: int) -> Generation | ApiError:
        """One HTTP request, and what came of it for pace and spending."""
        async with (
            self._pace.turn(prompt_tokens + request.max_new_tokens) as turn,
            self.spending.reserve(prompt_tokens, request.max_new_tokens) as reservation,
        ):
            status, headers, content = await self._send(body)
            outcome = self.read(status, headers, content, prompt_tokens)
            if isinstance(outcome, Generation):
                self.spending.settle(reservation, outcome.prompt_tokens, outcome.completion_tokens)
            elif status >= 300 or outcome.said.startswith("Connect"):  # refused, or never sent
                self.spending.settle(reservation, 0, 0)
        if isinstance(outcome, ApiError) and outcome.is_rate_limit:
            silent_s = self._pace.refused(turn, headers)
            if silent_s > PATIENCE_S:
                raise EndpointError(f"{self.host} answers nothing but 429 and wants {silent_s / 60:.0f} minutes of patience; {KEPT} later")
        elif status:
            self._pace.answered(turn, headers)
        return outcome

    async def _send(self, body: dict[str, Any]) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the answer; status 0 and a word about it where none came."""
        from openai import APIStatusError, OpenAIError

        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self.client.chat.completions.with_raw_response.create(**body)
        except TimeoutError:
            return 0, {}, f"no whole answer within {self._timeout_s:g} s".encode()
        except APIStatusError as error:
            return error.status_code, error.response.headers, error.response.content
        except OpenAIError as error:
            cause = error.__cause__ or error
            return 0, {}, f"{type(cause).__name__}: {cause}".encode()
        return answer.status_code, answer.headers, answer.content

    def read(self, status: int, headers: Mapping[str, str], content: bytes, prompt_tokens: int) -> Generation | ApiError:
        """What an answer says; `prompt_tokens` is taken where the server tells no usage."""
        reply = read_reply(content, prompt_tokens, self.tokens) if 200 <= status < 300 else None
        if reply is None:
            return ApiError.read(status, headers, content, self.secrets)
        return reply if reply.finish_reason not in _CUT_SHORT else ApiError(502, f"the server broke off ({reply.finish_reason})")

    def body(self, request: Request, left_out: Collection[str] | None = None) -> dict[str, Any]:
        """The JSON of a request to this server, without what it does not take, as far as that is known."""
        left_out = self.left_out if left_out is None else left_out
        limit = "max_completion_tokens" if "max_tokens" in left_out else "max_tokens"
        messages = [dict(message) for message in request.messages]
        body: dict[str, Any] = {"model": self.model, "messages": messages, limit: self._room(request)}
        samplers = {"temperature": request.temperature, "top_p": request.top_p}
        body |= {name: value for name, value in samplers.items() if name not in left_out}
        if request.schema is not None and "json_schema" not in left_out:
            schema = {"name": "reply", "strict": True, "schema": dict(request.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif request.schema is not None and "json_object" not in left_out and _says_json(request):
            body["response_format"] = {"type": "json_object"}
        return body

    def _room(self, request: Request) -> int:
        """max_tokens as far as the context leaves room for it: some servers refuse what could not fit together."""
        if self.context_tokens is None:
            return request.max_new_tokens
        prompt_tokens = count_prompt(request.messages, self.tokens) * (1.02 if self.tokens else 1.2)
        return max(min(request.max_new_tokens, _LEAST_ROOM), min(request.max_new_tokens, self.context_tokens - round(prompt_tokens)))

    def leave_out(self, names: Collection[str]) -> None:
        """Send these parts of a body no more: the server does not take them."""
        self.left_out.update(names)
        if unsent := sorted(self.left_out & {"temperature", "top_p"}):
            self._identity["not_sent"] = ", ".join(unsent)

    async def _ask_about_model(self) -> None:
        """Learns the context and the server's own name from its list of models; servers without one are fine."""
        from openai import OpenAIError

        try:
            async with asyncio.timeout(min(self._timeout_s, _CONNECT_S)):
                answer = await self.client.models.with_raw_response.list()
        except (OpenAIError, TimeoutError):
            return
        server, context_tokens = read_model(answer.content, self.model)
        if server:
            self._identity["server"] = self.secrets.mask(server)
        self.context_tokens = self.context_tokens or context_tokens


def _checked(key: str, url: str) -> str:
    """The key as it is sent; servers other than OpenAI's may do without."""
    if not key and url == OPENAI_URL:
        raise EndpointError("asking OpenAI needs a key; put it into the environment variable OPENAI_API_KEY")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise EndpointError("the environment variable OPENAI_API_KEY holds characters that no key has; copy the key again")
    return key or _NO_KEY


def _is_local(name: str) -> bool:
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _host(url: str) -> str:
    """Host and port of an address, without credentials."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname is not None and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        shown = url.rpartition("@")[2].partition("?")[0]
        raise UsageError(f"the server's address {shown!r} is not usable; write it like http://127.0.0.1:8000/v1")
    return parts.netloc.rpartition("@")[2]


def _backoff_s(state: "RetryCallState") -> float:
    """2, 4, 8 … seconds with jitter, or as long as the server asks if that is longer."""
    lost = state.outcome.exception() if state.outcome else None
    told_s = retry_after_s(lost.error.headers) if isinstance(lost, _Lost) else None
    return max(min(_LONGEST_BACKOFF_S, 2.0**state.attempt_number) * uniform(0.8, 1.2), min(told_s or 0.0, PATIENCE_S))


def _says_json(request: Request) -> bool:
    """Whether the prompt says json, without which servers refuse the json_object format."""
    return any("json" in message["content"].lower() for message in request.messages)
