"""A server that speaks OpenAI's API (OpenAI, DeepSeek, vLLM, SGLang, llama.cpp, …) as a generator, with rate and spending limits.

vLLM and SGLang fill in what a request leaves out from the model's own files, a repetition penalty at temperature 0 included. They are
sent neutral values (`engine.NEUTRAL`), so that the same request means the same at every server.
"""

import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

from asap.lm.api_error import SAMPLERS, ApiError
from asap.lm.endpoint import Endpoint, Sent
from asap.lm.engine import NEUTRAL
from asap.lm.generate import Generation, Request, RequestRefused
from asap.lm.prompt import Prompt, render_prompt
from asap.lm.rate_limit import Clock
from asap.lm.request_body import fits_surely, request_body
from asap.lm.response import CUT_SHORT, read_generation
from asap.lm.send import send_completion
from asap.lm.spending import SpendingLimit
from asap.lm.tokens import TokenCounter, count_prompt
from asap.revealed import revealed

_CUT_SHORT = ("insufficient_system_resource", "abort", "error", CUT_SHORT)  # the server's own trouble, as a finish reason
_NOT_SENT = ("ConnectError", "ConnectTimeout")
_NO_IDS = (400, 404, 405, 415, 422, 501)  # the answers of servers without /v1/completions, or that want text there


class OpenAIGenerator:
    """A Generator that asks a server (`endpoint.Endpoint`).

    `spending` bounds what is spent. What the server does not take (a JSON schema, max_tokens by that name, a sampler) is left out for
    the rest of the run. `identity` names the engine, the samplers that it is sent beside temperature and top_p, and those left out.

    `measured`: answers are streamed, so that the time to the first token is known, and where the tokenizer is at hand prompts go
    out as token ids to /v1/completions (servers that do not take these are sent messages). `extra` goes into every body.
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
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.endpoint = Endpoint(model, base_url=base_url, concurrency=concurrency, timeout_s=timeout_s, key=key, clock=clock)
        self.model = model
        self._identity: dict[str, Any] = {"model": model, "host": self.endpoint.host}
        if measured:
            self._identity = {"spec": f"openai:{model}", **self._identity}
        self.identity: Mapping[str, Any] = self._identity
        self.context_tokens = context_tokens
        self.concurrency = concurrency
        self.tokens = tokens
        self.spending = spending or SpendingLimit(None)
        self._measured = measured
        self._extra = dict(extra or {})
        self._sends_ids = measured and tokens is not None and bool(tokens.hf.chat_template)
        self._counts_messages = self._counts_here = False
        self._log = log or (lambda text: print(revealed(text), file=sys.stderr))
        self.left_out: set[str] = set()
        """What the server does not take, as far as that is known."""

    def __repr__(self) -> str:
        return f"OpenAIGenerator({self.model!r}, host={self.endpoint.host!r})"

    async def __aenter__(self) -> "OpenAIGenerator":
        await self.endpoint.__aenter__()
        try:
            await self._ask_about()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.endpoint.__aexit__(*error)

    async def _ask_about(self) -> None:
        """Learns the context, the server's own name and its engine, as far as it tells them."""
        served = await self.endpoint.served()
        if served.server:
            self._identity["server"] = self.endpoint.secrets.mask(served.server)
        self.context_tokens = self.context_tokens or served.context_tokens
        engine = {"context_tokens": self.context_tokens, **await self.endpoint.engine()}
        self._extra = {**NEUTRAL.get(engine["name"], {}), **self._extra}
        self._counts_messages = engine["name"] in NEUTRAL
        self._identity["engine"] = engine
        if self._measured:
            self._identity["asked_with"] = "token ids" if self._sends_ids else "chat"
        self.leave_out([])

    async def generate(self, request: Request) -> Generation:
        """What the model writes. Raises RequestRefused (this request), EndpointError (any request) or SpendingStop."""
        prompt: Prompt | None = None
        counted: int | None = None
        left_out, body = set[str](), dict[str, Any]()

        async def send() -> Sent[Generation]:
            nonlocal prompt, counted, body
            counted = counted or await self._counted(request)
            prompt = self._prompt(request)
            body = self.body(request, {*left_out, *self.left_out}, prompt, counted)
            return await self._send(request, body, prompt, counted)

        async def changed(error: ApiError) -> bool:
            if name := error.not_taken(body):
                left_out.add(name)
            elif prompt and error.status in _NO_IDS and not await self._takes_ids():
                self._sends_ids, self._identity["asked_with"] = False, "chat"
            elif not error.passes:
                raise self._refusal(error, prompt)
            else:
                return False
            return True

        generation = await self.endpoint.ask(send, changed)
        self.leave_out(left_out)
        return generation

    def _prompt(self, request: Request) -> Prompt | None:
        """The token ids to send; None where messages are sent."""
        if not self._sends_ids or self.tokens is None:
            return None
        prompt = render_prompt(self.tokens, request.messages)
        self._check_room(len(prompt.ids), prompt.opened)
        return prompt

    def _check_room(self, prompt_tokens: int, opened: str | None = None) -> None:
        if self.context_tokens is not None and prompt_tokens >= self.context_tokens:
            detail = f"the prompt has {prompt_tokens:,} tokens and the model's context {self.context_tokens:,}"
            raise RequestRefused("context_too_long", detail, prompt_tokens, opened)

    async def _counted(self, request: Request) -> int | None:
        """The exact tokens of a prompt of messages, from a server that counts them; None where there is none, or nothing is gained."""
        if self._sends_ids or not self._counts_messages or self.context_tokens is None or fits_surely(request, self.context_tokens):
            return None
        counted = await self.endpoint.count_messages(request.messages)
        if counted is None:
            self._counts_messages = False
        else:
            self._check_room(counted)
        return counted

    def body(
        self, request: Request, left_out: Collection[str] | None = None, prompt: Prompt | None = None, prompt_tokens: int | None = None
    ) -> dict[str, Any]:
        """The JSON of a request to this server, without what it does not take, as far as that is known."""
        left_out = self.left_out if left_out is None else left_out
        context, tokens = self.context_tokens, self.tokens
        body = request_body(
            self.model, request, prompt, left_out=left_out, context_tokens=context, tokens=tokens, prompt_tokens=prompt_tokens
        )
        body |= {name: value for name, value in self._extra.items() if name not in left_out}
        streaming = {"seed": request.draw, "stream": True, "stream_options": {"include_usage": True}}
        return {**body, **(streaming if self._measured else {})}

    async def _send(self, request: Request, body: Mapping[str, Any], prompt: Prompt | None, counted: int | None) -> Sent[Generation]:
        """One HTTP request, and what it means for the spending."""
        prompt_tokens = len(prompt.ids) if prompt else counted or count_prompt(request.messages, self.tokens)
        async with self.spending.reserve(prompt_tokens, request.max_new_tokens) as reservation:
            answer = await send_completion(self.endpoint.client, body, timeout_s=self.endpoint.timeout_s)
            outcome = self.read(answer.status, answer.headers, answer.content, prompt_tokens)
            if isinstance(outcome, Generation):
                self.spending.settle(reservation, outcome.prompt_tokens, outcome.completion_tokens)
            elif answer.status >= 300 or answer.fatal or outcome.said.startswith(_NOT_SENT):
                self.spending.settle(reservation, 0, 0)
        if isinstance(outcome, Generation):
            self._note_counting(outcome)
            short = prompt is not None and body["max_tokens"] < request.max_new_tokens
            opened = prompt.opened if prompt else None
            outcome = outcome._replace(opened=opened, context_ran_out=short, ttft_s=answer.ttft_s, seconds=answer.seconds)
        return Sent(answer, outcome)

    def read(self, status: int, headers: Mapping[str, str], content: bytes, prompt_tokens: int) -> Generation | ApiError:
        """What an answer says; takes `prompt_tokens` where the server sends no usage."""
        generation = read_generation(content, prompt_tokens, self.tokens) if 200 <= status < 300 else None
        if generation is None:
            return ApiError.read(status, headers, content, self.endpoint.secrets)
        if generation.finish_reason in _CUT_SHORT:
            return ApiError(502, f"the server broke off ({generation.finish_reason})")
        return generation

    def leave_out(self, names: Collection[str]) -> None:
        """Send these parts of a body no more: the server does not take them. Says so about samplers, which the server then chooses."""
        for name in sorted({*names} & {*SAMPLERS} - self.left_out):
            self._log(f"note: {self.endpoint.host} does not take {name}; it is not sent, and the server's own value counts")
        self.left_out.update(names)
        if unsent := sorted(self.left_out & {*SAMPLERS}):
            self._identity["not_sent"] = ", ".join(unsent)
        if sent := {name: value for name, value in self._extra.items() if name not in self.left_out}:
            self._identity["samplers"] = sent

    def _refusal(self, error: ApiError, prompt: Prompt | None) -> Exception:
        refusal = error.error(self.endpoint.host, self.model)
        if prompt and isinstance(refusal, RequestRefused):
            refusal.prompt_tokens, refusal.opened = len(prompt.ids), prompt.opened
        return refusal

    async def _takes_ids(self) -> bool:
        """Whether the server takes token ids at all; then an error has other reasons."""
        if not self._sends_ids:
            return False
        body = {"model": self.model, "prompt": [1, 2, 3], "max_tokens": 1}
        answer = await send_completion(self.endpoint.client, body, timeout_s=self.endpoint.timeout_s)
        return answer.status < 300  # 0: nobody knows; the next try will show

    def _note_counting(self, generation: Generation) -> None:
        """Says once that the tokens of this server's replies are counted here."""
        if generation.counted_here and not self._counts_here:
            self._counts_here = True
            self._log(f"note: {self.endpoint.host} tells no usable numbers of tokens; they are counted here")
