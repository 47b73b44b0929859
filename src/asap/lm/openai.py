"""A server that speaks OpenAI's API (OpenAI, DeepSeek, vLLM, SGLang, llama.cpp, …) as a generator, with rate and spending limits.

The retries are ours and not the SDK's: the SDK does not see a spoiled body or the spending limit, counts a 429 as a try, and
believes no Retry-After above a minute.
"""

import asyncio
import logging
import os
from base64 import b64encode
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from openai import APIStatusError, AsyncOpenAI, DefaultAsyncHttpx2Client, OpenAIError, Timeout

from asap.lm.address import host_of, is_local, sent_key, server_url
from asap.lm.api_error import KEPT, ApiError, Secrets
from asap.lm.engine import ask_engine
from asap.lm.generate import EndpointError, Generation, Request, RequestRefused
from asap.lm.prompt import Prompt, render_prompt
from asap.lm.rate_limit import PATIENCE_S, Clock, RateLimit, backoff_s
from asap.lm.request_body import request_body
from asap.lm.response import CUT_SHORT, read_generation, read_model
from asap.lm.send import send_completion
from asap.lm.spending import SpendingLimit
from asap.lm.tokens import TokenCounter, count_prompt

TRIES = 6
FAILED_IN_A_ROW = 5
_CONNECT_S = 30.0
_URL_LOGGERS = ("httpx", "httpx2")
_CUT_SHORT = ("insufficient_system_resource", "abort", "error", CUT_SHORT)  # the server's own trouble, as a finish reason
_NOT_SENT = ("ConnectError", "ConnectTimeout")
_NO_IDS = (400, 404, 405, 415, 422, 501)  # the answers of servers without /v1/completions, or that want text there


class _Try(NamedTuple):
    """What was sent, with its token ids if these were, and what came of it."""

    body: Mapping[str, Any]
    prompt: Prompt | None
    outcome: Generation | ApiError


class OpenAIGenerator:
    """A Generator that asks a server. The key is OPENAI_API_KEY of the environment if none is given; it stays secret, and so do
    credentials in `base_url`.

    At most `concurrency` requests are on the wire, each for at most `timeout_s` seconds. Errors that pass are tried six times in
    all; 429s slow everybody down and are no try. `spending` bounds what is spent. What the server does not take (a JSON schema,
    max_tokens by that name, temperature, top_p) is left out for the rest of the run; `identity` names the samplers left out.

    `measured`: answers are streamed, so that the time to the first token is known, and where the tokenizer is at hand prompts go
    out as token ids to /v1/completions (servers that do not take these are sent messages); `identity` names the engine.
    """

    resumes = False

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        concurrency: int = 16,
        spending: SpendingLimit | None = None,
        context_tokens: int | None = None,
        tokens: TokenCounter | None = None,
        timeout_s: float = 600.0,
        measured: bool = False,
        extra: Mapping[str, Any] | None = None,
        key: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._url = server_url(base_url)
        self.host = host_of(self._url)
        self._key = os.environ.get("OPENAI_API_KEY", "").strip() if key is None else key
        self.secrets = Secrets(self._key, self._url)
        self.model = model
        self._identity: dict[str, Any] = {**({"spec": f"openai:{model}"} if measured else {}), "model": model, "host": self.host}
        self.identity: Mapping[str, Any] = self._identity
        self.context_tokens = context_tokens
        self.concurrency = concurrency
        self.tokens = tokens
        self.spending = spending or SpendingLimit(None)
        self._timeout_s = timeout_s
        self._measured = measured
        self._extra = extra
        self._sends_ids = measured and tokens is not None and bool(tokens.hf.chat_template)
        self._clock = clock or Clock()
        self.left_out: set[str] = set()
        """What the server does not take, as far as that is known."""
        self._failed_in_a_row = 0

    def __repr__(self) -> str:
        return f"OpenAIGenerator({self.model!r}, host={self.host!r})"

    async def __aenter__(self) -> "OpenAIGenerator":
        parts = urlsplit(self._url)
        timeout = Timeout(self._timeout_s, connect=min(self._timeout_s, _CONNECT_S))
        login = unquote(parts.netloc.rpartition("@")[0])
        self.client = AsyncOpenAI(
            api_key=sent_key(self._key, self._url),
            base_url=f"{parts.scheme}://{self.host}{parts.path}",
            default_query=dict(parse_qsl(parts.query)),
            default_headers={"Authorization": f"Basic {b64encode(login.encode()).decode()}"} if login else None,
            max_retries=0,
            timeout=timeout,
            # a proxy of the environment is not asked for what runs on this machine
            http_client=DefaultAsyncHttpx2Client(timeout=timeout, trust_env=False) if is_local(self._url) else None,
        )
        for logger in _URL_LOGGERS:
            logging.getLogger(logger).addFilter(self._hide)
        self._slots, self._rate = asyncio.Semaphore(self.concurrency), RateLimit(self.concurrency, self._clock)
        try:
            await self._ask_about_model()
            if self._measured:
                engine = await ask_engine(self.client, self.context_tokens)
                self._identity |= {"engine": engine, "asked_with": "token ids" if self._sends_ids else "chat"}
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
        """What the model writes. Raises RequestRefused (this request), EndpointError (any request) or SpendingStop.

        Raises outside of any `except`, so that no traceback leads back to what the server sent.
        """
        async with self._slots:  # whoever tries again does not queue behind requests that were never sent
            return await self._generate(request)

    async def _generate(self, request: Request) -> Generation:
        left_out, failures, slowed_since = set[str](), 0, None
        while True:  # ends: failures are counted, there are six things to leave out, and 429s go on for PATIENCE_S at most
            body, prompt, outcome = await self._try(request, left_out)
            if isinstance(outcome, Generation):
                self._failed_in_a_row = 0
                self.leave_out(left_out)
                return outcome
            if outcome.is_rate_limit:
                now = self._clock.now()
                slowed_since = now if slowed_since is None else slowed_since
                if now - slowed_since > PATIENCE_S:
                    raise RequestRefused("server_error", f"{self.host} answered 429 for {PATIENCE_S / 60:g} minutes, to others not")
            elif name := outcome.not_taken(body):
                left_out.add(name)
            elif prompt and outcome.status in _NO_IDS and not await self._takes_ids():
                self._sends_ids, self._identity["asked_with"] = False, "chat"
            elif not outcome.passes:
                raise self._refusal(outcome, prompt)
            elif (failures := failures + 1) == TRIES:
                raise self._given_up(outcome)
            else:
                slowed_since = None
                await self._clock.sleep(backoff_s(failures, outcome.headers))

    def _prompt(self, request: Request) -> Prompt | None:
        """The token ids to send; None where messages are sent."""
        if not self._sends_ids or self.tokens is None:
            return None
        prompt = render_prompt(self.tokens, request.messages)
        if self.context_tokens is not None and len(prompt.ids) >= self.context_tokens:
            detail = f"the prompt has {len(prompt.ids):,} tokens and the model's context {self.context_tokens:,}"
            raise RequestRefused("context_too_long", detail, len(prompt.ids), prompt.opened)
        return prompt

    def body(self, request: Request, left_out: Collection[str] | None = None, prompt: Prompt | None = None) -> dict[str, Any]:
        """The JSON of a request to this server, without what it does not take, as far as that is known."""
        left_out = self.left_out if left_out is None else left_out
        context, tokens = self.context_tokens, self.tokens
        body = request_body(self.model, request, prompt, left_out=left_out, context_tokens=context, tokens=tokens)
        streaming = {"seed": request.draw, "stream": True, "stream_options": {"include_usage": True}}
        return {**body, **(streaming if self._measured else {})}

    async def _try(self, request: Request, left_out: Collection[str]) -> _Try:
        """One HTTP request, made when its turn comes, and what it means for the rate and the spending."""
        async with self._rate.turn() as turn:
            prompt = self._prompt(request)
            body = self.body(request, {*left_out, *self.left_out}, prompt)
            prompt_tokens = len(prompt.ids) if prompt else count_prompt(request.messages, self.tokens)
            async with self.spending.reserve(prompt_tokens, request.max_new_tokens) as reservation:
                answer = await send_completion(self.client, body, extra=self._extra, timeout_s=self._timeout_s)
                outcome = self.read(answer.status, answer.headers, answer.content, prompt_tokens)
                if isinstance(outcome, Generation):
                    self.spending.settle(reservation, outcome.prompt_tokens, outcome.completion_tokens)
                elif answer.status >= 300 or outcome.said.startswith(_NOT_SENT):
                    self.spending.settle(reservation, 0, 0)
        if isinstance(outcome, ApiError) and outcome.is_rate_limit:
            silent_s = self._rate.refused(turn, answer.headers)
            if silent_s > PATIENCE_S:
                raise EndpointError(f"{self.host} answers nothing but 429 and wants {silent_s / 60:.0f} minutes of patience; {KEPT} later")
        elif answer.status:
            self._rate.answered()
        if isinstance(outcome, Generation):
            short = prompt is not None and body["max_tokens"] < request.max_new_tokens
            opened = prompt.opened if prompt else None
            outcome = outcome._replace(opened=opened, context_ran_out=short, ttft_s=answer.ttft_s, seconds=answer.seconds)
        return _Try(body, prompt, outcome)

    def read(self, status: int, headers: Mapping[str, str], content: bytes, prompt_tokens: int) -> Generation | ApiError:
        """What an answer says; takes `prompt_tokens` where the server sends no usage."""
        generation = read_generation(content, prompt_tokens, self.tokens) if 200 <= status < 300 else None
        if generation is None:
            return ApiError.read(status, headers, content, self.secrets)
        if generation.finish_reason in _CUT_SHORT:
            return ApiError(502, f"the server broke off ({generation.finish_reason})")
        return generation

    def leave_out(self, names: Collection[str]) -> None:
        """Send these parts of a body no more: the server does not take them."""
        self.left_out.update(names)
        if unsent := sorted(self.left_out & {"temperature", "top_p"}):
            self._identity["not_sent"] = ", ".join(unsent)

    def _refusal(self, error: ApiError, prompt: Prompt | None) -> Exception:
        refusal = error.error(self.host, self.model)
        if prompt and isinstance(refusal, RequestRefused):
            refusal.prompt_tokens, refusal.opened = len(prompt.ids), prompt.opened
        return refusal

    def _given_up(self, error: ApiError) -> Exception:
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= FAILED_IN_A_ROW:
            return EndpointError(f"{self.host} failed {FAILED_IN_A_ROW} requests in a row, {TRIES} times each ({error}); {KEPT}")
        return RequestRefused(
            "server_error", f"{self.host} {'failed' if error.status else 'does not answer, tried'} {TRIES} times ({error})"
        )

    async def _takes_ids(self) -> bool:
        """Whether the server takes token ids at all; then an error has other reasons."""
        if not self._sends_ids:
            return False
        try:
            await self.client.completions.create(model=self.model, prompt=[1, 2, 3], max_tokens=1)
        except APIStatusError:
            return False
        except OpenAIError:
            return True  # nobody knows; the next try will show
        return True

    async def _ask_about_model(self) -> None:
        """Learns the context and the server's own name from its list of models; servers without one are fine."""
        try:
            async with asyncio.timeout(min(self._timeout_s, _CONNECT_S)):
                answer = await self.client.models.with_raw_response.list()
        except (OpenAIError, TimeoutError):
            return
        server, context_tokens = read_model(answer.content, self.model)
        if server:
            self._identity["server"] = self.secrets.mask(server)
        self.context_tokens = self.context_tokens or context_tokens
