"""A server as the model: every answer is streamed, so that the time to its first token is known.

Where the tokenizer is at hand the prompt goes out as token ids to /v1/completions, with exactly one BOS; a server that does not
take them is asked for chat completions.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from asap.evaluate.engine import ask_engine
from asap.evaluate.writing import Ask, Kept, Settings, Written, counted, rendered, reopened
from asap.lm.api_error import ApiError
from asap.lm.generate import EndpointError, Request, RequestRefused
from asap.lm.llama_cpp import LlamaCpp
from asap.lm.openai import OpenAIServer
from asap.think import OPENED, join_think

if TYPE_CHECKING:
    from asap.lm.tokens import TokenCounter

TRIES = 6
_LONGEST_WAIT_S = 30.0
_NO_IDS = (400, 404, 405, 415, 422, 501)  # the answers of servers without /v1/completions, or that want text there


class _BrokeOff(Exception):
    """A stream that ended in the middle of a text."""


class _Heard(NamedTuple):
    """What a stream brought."""

    text: str
    thought: str
    stopped_by: str
    usage: tuple[int, int] | None
    ttft_s: float | None
    seconds: float


class ServerModel:
    """A Generator that asks an OpenAI-compatible server (vLLM, SGLang, llama.cpp), `concurrency` requests at once."""

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None,
        concurrency: int,
        tokens: "TokenCounter | None" = None,
        timeout_s: float = 7200.0,
        tries: int = TRIES,
    ) -> None:
        self.tokens = tokens
        self.concurrency = concurrency
        self.identity: Mapping[str, Any] = {"spec": f"openai:{model}", "model": model}
        self._endpoint = OpenAIServer(model, base_url=base_url, concurrency=concurrency, tokens=tokens, timeout_s=timeout_s)
        self._extra: dict[str, Any] = {}
        self._tries = tries
        self._with_ids = tokens is not None and bool(tokens.hf.chat_template)

    async def write(self, asks: Sequence[Ask], settings: Settings, kept: Kept) -> None:
        """Write them all; `kept` is called with each as it comes. Raises EndpointError."""
        async with self._endpoint as endpoint:
            await self._write_with(endpoint, asks, settings, kept)

    async def _write_with(self, endpoint: OpenAIServer, asks: Sequence[Ask], settings: Settings, kept: Kept) -> None:
        self._client = endpoint.client.with_options(max_retries=self._tries - 1)
        self._context = endpoint.context_tokens
        self._server = endpoint
        engine = await ask_engine(self._client, self._context)
        asked = "token ids" if self._with_ids else "chat"
        self.identity = {**self.identity, **endpoint.identity, "engine": engine, "asked_with": asked}
        turn = asyncio.Semaphore(self.concurrency)

        async def one(ask: Ask) -> None:
            async with turn:
                kept(ask, await self._written(ask, settings))

        try:
            async with asyncio.TaskGroup() as group:
                for ask in asks:
                    group.create_task(one(ask))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    async def _written(self, ask: Ask, settings: Settings) -> Written:
        from openai import APIStatusError, OpenAIError

        ids, opened = rendered(self.tokens, ask.messages) if self._with_ids and self.tokens else (None, False)
        room = settings.max_new_tokens
        if ids is not None and self._context is not None:
            room = min(room, self._context - len(ids))
            if room < 1:
                return Written("", "too_long", len(ids), 0, None, None, None, 0.0, opened)
        try:
            heard, with_ids = await self._asked(ids, ask, settings, room)
        except APIStatusError as error:
            fault = ApiError.read(error.status_code, error.response.headers, error.response.content, self._server.secrets)
            raised = fault.error(self._server.host, self._server.model)
            if isinstance(raised, RequestRefused) and raised.reason == "context_too_long":
                return Written("", "too_long", len(ids or ()), 0, None, None, None, 0.0, opened)
            raise EndpointError(str(raised)) from None
        except OpenAIError as error:
            said = self._server.secrets.mask(f"{type(error.__cause__ or error).__name__}: {error}")
            raise EndpointError(
                f"{self._server.host} does not answer ({said}); what was written is kept, and the same command goes on"
            ) from None
        return self._assembled(heard, ids, opened and with_ids, room < settings.max_new_tokens)

    async def _asked(self, ids: list[int] | None, ask: Ask, settings: Settings, room: int) -> tuple[_Heard, bool]:
        """What the server wrote, and whether it was asked with token ids. Asked again where a stream breaks off."""
        from openai import APIStatusError

        for again in range(self._tries):
            with_ids = ids is not None and self._with_ids
            try:
                heard = await (self._completion(ids, ask, settings, room) if ids and with_ids else self._chat(ask, settings))
            except APIStatusError as error:
                if not with_ids or error.status_code not in _NO_IDS or await self._takes_ids():
                    raise
                self._with_ids = False
                self.identity = {**self.identity, "asked_with": "chat"}
                return await self._chat(ask, settings), False
            except _BrokeOff:
                await asyncio.sleep(min(2.0**again, _LONGEST_WAIT_S) if again + 1 < self._tries else 0)
            else:
                return heard, with_ids
        raise EndpointError(
            f"{self._server.host} broke off in the middle of a text, {self._tries} times; what was written is kept, "
            "and the same command goes on"
        )

    def _assembled(self, heard: _Heard, ids: Sequence[int] | None, opened: bool, short: bool) -> Written:
        text = heard.text
        if heard.thought:  # the server took the thinking apart; it is put together again, closed only if an answer followed
            text = join_think(heard.thought, heard.text) if heard.text else f"{OPENED}{heard.thought}\n"
        text = reopened(text, opened)
        told = heard.usage or (len(ids or ()), self.tokens.count(text) if self.tokens else 0)
        thinking, answer = counted(text, told[1], self.tokens)
        stopped_by = "context" if heard.stopped_by == "length" and short else heard.stopped_by
        return Written(text, stopped_by, told[0], told[1], thinking, answer, heard.ttft_s, heard.seconds, opened)

    async def _takes_ids(self) -> bool:
        """Whether the server takes token ids at all; then an error has other reasons."""
        from openai import APIStatusError

        try:
            await self._client.completions.create(model=self._server.model, prompt=[1, 2, 3], max_tokens=1)
        except APIStatusError:
            return False
        return True

    async def _completion(self, ids: list[int], ask: Ask, settings: Settings, room: int) -> _Heard:
        started = time.perf_counter()
        stream = await self._client.completions.create(
            model=self._server.model,
            prompt=ids,
            max_tokens=room,
            temperature=settings.temperature,
            top_p=settings.top_p,
            seed=ask.seed,
            stream=True,
            stream_options={"include_usage": True},
            extra_body=self._extra or None,
        )
        return await _heard(stream, started)

    async def _chat(self, ask: Ask, settings: Settings) -> _Heard:
        started = time.perf_counter()
        request = Request(ask.messages, settings.max_new_tokens, settings.temperature, settings.top_p)
        body = {**self._server.body(request), "seed": ask.seed, "stream": True, "stream_options": {"include_usage": True}}
        stream = await self._client.chat.completions.create(**body, extra_body=self._extra or None)
        return await _heard(stream, started)


class GgufModel(ServerModel):
    """A GGUF file, served by a llama.cpp server of its own while it writes; no prompt is kept from one request to the next."""

    def __init__(self, file: Path, *, spec: str, concurrency: int = 1) -> None:
        self._served = _Local(file, spec=spec, concurrency=concurrency)
        self.tokens = self._served.tokens
        self.concurrency = concurrency
        self.identity = {name: value for name, value in self._served.identity.items() if name != "min_p"}
        self._extra = {"cache_prompt": False, "min_p": 0.0, "top_k": 0}
        self._tries = TRIES
        self._with_ids = self.tokens is not None

    async def write(self, asks: Sequence[Ask], settings: Settings, kept: Kept) -> None:
        """Write them all; `kept` is called with each as it comes. Raises EndpointError and InputError."""
        async with self._served as served:
            await self._write_with(served.endpoint, asks, settings, kept)


class _Local(LlamaCpp):
    async def __aenter__(self) -> "_Local":
        await super().__aenter__()
        return self

    @property
    def endpoint(self) -> OpenAIServer:
        """The server's address, while it runs."""
        return self._endpoint


async def _whole(stream: Any) -> AsyncIterator[Any]:
    from openai import APIStatusError

    try:
        async for chunk in stream:
            yield chunk
    except APIStatusError:
        raise
    except Exception as error:  # border: the HTTP library below has errors of its own
        raise _BrokeOff from error


async def _heard(stream: Any, started: float) -> _Heard:
    """Listen to the end. Raises _BrokeOff where the stream ends without a reason."""
    texts, thoughts = list[str](), list[str]()
    stopped_by, usage, first_at = None, None, None
    async for chunk in _whole(stream):
        if chunk.usage is not None:
            usage = (int(chunk.usage.prompt_tokens), int(chunk.usage.completion_tokens))
        for choice in chunk.choices:
            delta = getattr(choice, "delta", None)
            text = choice.text if delta is None else delta.content
            thought = None if delta is None else getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None)
            if text or thought:
                first_at = first_at or time.perf_counter()
            texts.append(text or "")
            thoughts.append(thought or "")
            stopped_by = choice.finish_reason or stopped_by
    if stopped_by is None:
        raise _BrokeOff
    seconds = time.perf_counter() - started
    return _Heard("".join(texts), "".join(thoughts), stopped_by, usage, None if first_at is None else first_at - started, seconds)
