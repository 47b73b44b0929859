"""A model behind a vLLM or SGLang server as a scorer: the server reads token ids and gives the log-probability of each.

The ids are those that a scorer in this process would read, in the same windows. The server is probed first: that its tokenizer is the
one given here, that it gives log-probabilities at all, and that they do not depend on what it read before (prefix caching).

What this does not do: give entropies, which no server does; the methods that need them refuse.
"""

import asyncio
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asap.errors import RowError
from asap.lm.api_error import ApiError
from asap.lm.endpoint import Endpoint, Sent
from asap.lm.engine import engine_name
from asap.lm.fields import count_in
from asap.lm.generate import EndpointError, RequestRefused
from asap.lm.loop_thread import LoopThread
from asap.lm.prompt_logprobs import SGLANG, VLLM, Logprobs, most_bytes
from asap.lm.rate_limit import Clock
from asap.lm.scorer import LeaveOutRequest, LeftOut, PrefixRequest, Scored, ScoreRequest, leave_out_anew, prefixes_anew
from asap.lm.tokens import TokenCounter
from asap.lm.windows import Window, Windowed
from asap.revealed import revealed

_PROBE = (
    "def mean(values):\n    return sum(values) / len(values)\n\nWait, 3.14159 * 2 is 6.28318, so the area isn't 12,566 cm².\n\n"
    "Let's check: naïve façade, 東京, Привет, x₁ ≤ y → z.\tOkay.\n\n"
) * 4
_LEAST_CONTEXT = 16
_CLOSE = 1e-3
_FAR = 0.25
_OTHERWISE = "use bundled, hf:… or gguf:…, which score in this process"


class _NoNumbers(Exception):
    """A server's answer does not give the log-probabilities that were asked for."""


class ServerScorer:
    """Scores by a server (`endpoint.Endpoint`), up to `concurrency` texts at once.

    `tokens` must be the served model's tokenizer. Raises EndpointError where the probe fails. `context_tokens` is what the server
    serves, less the last token of a text and the one that it has to write.
    """

    causal_lm = None
    gives_entropies = False

    def __init__(
        self,
        model: str,
        tokens: TokenCounter,
        *,
        base_url: str | None = None,
        concurrency: int = 16,
        timeout_s: float = 600.0,
        key: str | None = None,
        clock: Clock | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.tokens = tokens
        self._arguments = (model, tokens, base_url, concurrency, timeout_s, key)
        self._log = log or (lambda text: print(revealed(text), file=sys.stderr))
        self._failed = dict[bytes, str]()
        self._endpoint = Endpoint(model, base_url=base_url, concurrency=concurrency, timeout_s=timeout_s, key=key, clock=clock)
        self._loop = LoopThread()
        self.close = weakref.finalize(self, _close, self._loop, self._endpoint)
        self._loop.run(self._endpoint.__aenter__())
        self._loop.run(self._probe(model))
        self.batch_tokens = concurrency * self.context_tokens

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by name, so that it can travel to worker processes."""
        return _reload, self._arguments

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """The scores of each request, in order, without entropies. Raises RowError for a text that the server refuses."""
        laid = [Windowed.of(request, self.tokens, self.context_tokens) for request in requests]
        values = self._loop.run(self._all_values([window for one in laid for window in one.windows]))
        scores = [np.full((len(one.wanted), 2), np.nan) for one in laid]
        found = iter(values)
        for one, table in zip(laid, scores, strict=True):
            for window in one.windows:
                table[window.places, 0] = next(found)
        return [one.scored(table) for one, table in zip(laid, scores, strict=True)]

    def leave_out(self, request: LeaveOutRequest) -> LeftOut:
        """What remains of the request's text without each step."""
        return leave_out_anew(self.score, request)

    def prefixes(self, request: PrefixRequest) -> Scored:
        """The scores of the request's tail behind each prefix."""
        return prefixes_anew(self.score, request)

    async def _all_values(self, windows: Sequence[Window]) -> list[NDArray[np.float64]]:
        """The log-probabilities of the wanted targets of each window. The first error ends all requests that are out."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._values(window)) for window in windows]
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _values(self, window: Window) -> NDArray[np.float64]:
        ids = [*window.ids.tolist(), int(window.targets[window.rows.argmax()])]  # what is predicted last is read too
        text = window.ids.tobytes()
        if text in self._failed:  # it was asked together with others, who are asked again without it
            raise RowError("server_error", self._failed[text])
        try:
            return (await self._logprobs(ids, int(window.rows.min()) + 1))[window.rows + 1]
        except (_NoNumbers, RequestRefused) as error:
            fault = await self._fault_of_row(error)
        if fault.reason == "server_error":
            self._failed[text] = fault.detail
        raise fault

    async def _fault_of_row(self, error: _NoNumbers | RequestRefused) -> RowError:
        """What is wrong with a text. Raises EndpointError where the server does not score a test text either."""
        if isinstance(error, _NoNumbers):
            await self._probed(self._known_ids)
            return RowError("no_logprobs", f"{str(error).partition('; ')[0]}; of a test text it does")
        if error.reason != "server_error":
            return RowError(error.reason, error.detail)
        try:
            await self._logprobs(self._known_ids, 1)
        except (_NoNumbers, RequestRefused):  # it may be back later: no fault of the row
            raise EndpointError(f"{error.detail}; what was scored is kept, and the same command goes on") from None
        return RowError("server_error", f"{error.detail}; a test text it scores")

    async def _logprobs(self, ids: Sequence[int], first: int) -> Logprobs:
        endpoint, wire = self._endpoint, self._wire

        async def send() -> Sent[Logprobs]:
            answer = await endpoint.post(wire.path, wire.body(endpoint.model, ids, first), most_bytes(ids))
            if not 200 <= answer.status < 300:
                return Sent(answer, ApiError.read(answer.status, answer.headers, answer.content, endpoint.secrets))
            found = wire.read(answer.content, ids, first)
            if found is None and not wire.answers(answer.content):
                return Sent(answer, ApiError.read(answer.status, answer.headers, answer.content, endpoint.secrets))
            if found is None:
                raise _NoNumbers(f"{endpoint.host} does not give the log-probabilities of all tokens of a prompt; {_OTHERWISE}")
            if (found > 1e-6).any():
                raise _NoNumbers(f"{endpoint.host} gives logits and not log-probabilities; serve with --logprobs-mode raw_logprobs")
            return Sent(answer, found)

        async def changed(error: ApiError) -> bool:
            return False

        return await endpoint.ask(send, changed)

    async def _probe(self, model: str) -> None:
        """Learn what the server says of itself, and check that it scores with this tokenizer, the same text always the same."""
        served, engine = await self._endpoint.served(), await self._endpoint.engine()
        self._wire = SGLANG if engine["name"] == "sglang" else VLLM
        context = count_in(served.context_tokens or engine.get("context_length"), _LEAST_CONTEXT, 1 << 40)
        await self._check_answers()
        if context is None:
            raise EndpointError(f"{self._endpoint.host} does not tell how long a text {model!r} reads; vLLM and SGLang do; {_OTHERWISE}")
        self.context_tokens = context - 2
        self.identity = _identity(model, engine, served.weights, context)
        await self._check_tokenizer()
        self._known_ids = self.tokens.input_ids(_PROBE)[: self.context_tokens]
        await self._check_numbers()

    async def _check_answers(self) -> None:
        """Fail at once where nobody answers, or the model has another name; later on requests are patient."""
        answer = await self._endpoint.post(self._wire.path, self._wire.body(self._endpoint.model, [1, 2, 3], 1), most_bytes([1, 2, 3]))
        error = ApiError.read(answer.status, answer.headers, answer.content, self._endpoint.secrets)
        if answer.status == 0:
            raise EndpointError(f"{self._endpoint.host} does not answer ({answer.fatal or error})")
        if answer.status in (401, 403, 404):
            raise error.error(self._endpoint.host, self._endpoint.model)

    async def _check_tokenizer(self) -> None:
        ours = self.tokens.encode(_PROBE).ids.tolist()
        theirs = await self._endpoint.tokenize(_PROBE)
        if theirs is None:
            self._log(f"note: {self._endpoint.host} does not tokenize, so nobody checked that {self.tokens.name} is its tokenizer")
        elif theirs != ours:
            place = next((n for n, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), min(len(ours), len(theirs)))
            raise EndpointError(
                f"{self.tokens.name} is not the tokenizer of {self._endpoint.model!r} at {self._endpoint.host}: token {place} of a test "
                f"text is {ours[place : place + 1]} here and {theirs[place : place + 1]} there; name the served model's with --tokenizer"
            )

    async def _check_numbers(self) -> None:
        """The same text twice, and once more after another one that begins alike, must get the same numbers."""
        ids = self._known_ids
        if len(ids) < 4:
            return
        other = [*ids[: len(ids) // 2], *reversed(ids[len(ids) // 2 :])]
        first = await self._probed(ids)
        found = [await self._probed(ids), (await asyncio.gather(self._probed(other), self._probed(ids)))[1]]
        far = max(float(np.abs(again - first)[1:].max()) for again in found)
        said = f"{self._endpoint.host} gives other log-probabilities when it reads the same text again, up to {far:.2g} nats"
        if far > _FAR:
            raise EndpointError(f"{said}; serve without prefix caching (vLLM: --no-enable-prefix-caching, SGLang: --disable-radix-cache)")
        if far > _CLOSE:
            self._log(f"note: {said}: steps with nearly equal scores can change places from run to run")

    async def _probed(self, ids: Sequence[int]) -> Logprobs:
        try:
            return await self._logprobs(ids, 1)
        except _NoNumbers as error:
            raise EndpointError(str(error)) from None
        except RequestRefused as error:
            raise EndpointError(f"{self._endpoint.host} does not score a test text ({error.detail}); {_OTHERWISE}") from None


def _identity(model: str, engine: Mapping[str, Any], weights: str | None, context: int) -> dict[str, str]:
    """How results name the model; not by the server's address, which may change."""
    return {
        "spec": f"openai:{model}",
        "model": model,
        "revision": engine_name(engine),
        "dtype": str(engine.get("dtype") or "chosen by the server"),
        "served": str(context),
        **({"weights": weights} if weights else {}),
    }


def _close(loop: LoopThread, endpoint: Endpoint) -> None:
    if hasattr(endpoint, "client"):
        loop.run(endpoint.__aexit__())
    loop.close()


def _reload(model: str, tokens: TokenCounter, base_url: str | None, concurrency: int, timeout_s: float, key: str | None) -> ServerScorer:
    return ServerScorer(model, tokens, base_url=base_url, concurrency=concurrency, timeout_s=timeout_s, key=key)
