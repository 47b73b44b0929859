"""Any chat model of transformers as a generator, in this process, on CPU, CUDA or MPS.

Requests that wait together are written in batches, the longest prompts first, padded on the left. A batch that does not fit into
memory is halved. At temperature 0 the model takes the likeliest token; above, the draws of a batch come from a seed made of its
requests, so the same request alone gets the same text on the same machine. The model's own sampling defaults are not used, its stop
tokens are. `schema` is only a wish here.
"""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from asap.errors import InputError
from asap.lm.causal_lm import CausalLM
from asap.lm.generate import MIN_P, Generation, Request, RequestRefused
from asap.lm.memory import within_memory
from asap.lm.prompt import Prompt, render_prompt
from asap.lm.spending import SpendingLimit
from asap.lm.tokens import TokenCounter
from asap.lm.write import Watch, write_tokens, written_text
from asap.versions import versions_of

_SEEDS = 1 << 63


class _Waiting(NamedTuple):
    """A request that is to be answered."""

    request: Request
    prompt: Prompt
    answer: "asyncio.Future[Generation]"

    @property
    def sampling(self) -> tuple[int, float, float]:
        """What requests must share to be written together."""
        return self.request.max_new_tokens, self.request.temperature, self.request.top_p


class TransformersGenerator:
    """A Generator that writes up to `concurrency` texts at once with a model of transformers.

    `measured`: it samples exactly as asked, without MIN_P, and `identity` names the engine. A model without a chat template is
    refused, as it follows no instructions. The weights are loaded on entering. A cancelled batch ends at the next token, but not
    while the model reads its prompts.
    """

    resumes = False

    def __init__(
        self,
        lm: CausalLM,
        *,
        concurrency: int = 1,
        context_tokens: int | None = None,
        spending: SpendingLimit | None = None,
        measured: bool = False,
    ) -> None:
        if not lm.tokens.hf.chat_template:
            raise InputError(
                f"{lm.name} has no chat template, so it is no model that follows instructions; use its chat or instruct version"
            )
        self._lm = lm
        self._context = min(lm.context_tokens, context_tokens or lm.context_tokens)
        self._spending = spending or SpendingLimit(None)
        self._min_p = 0.0 if measured else MIN_P
        own = [lm.identity[name] for name in ("adapter_revision", "dtype") if name in lm.identity]
        self.model = "-".join([lm.identity["model"], lm.identity["revision"][:16], *own])
        self.identity: Mapping[str, Any] = {**lm.identity, **({"engine": _engine(lm)} if measured else {"min_p": str(MIN_P)})}
        self.tokens: TokenCounter | None = lm.tokens
        self.context_tokens: int | None = self._context
        self.concurrency = concurrency

    async def __aenter__(self) -> "TransformersGenerator":
        await asyncio.to_thread(lambda: self._lm.stop_ids)
        self._waiting, self._asked = list[_Waiting](), asyncio.Event()
        self._writer = asyncio.create_task(self._write())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)

    async def generate(self, request: Request) -> Generation:
        """What the model writes. Raises RequestRefused or SpendingStop."""
        prompt = render_prompt(self._lm.tokens, request.messages)
        async with self._spending.reserve(len(prompt.ids), request.max_new_tokens) as reservation:
            try:
                generation = await self._written(request, prompt)
            except RequestRefused:
                self._spending.settle(reservation, 0, 0)
                raise
            self._spending.settle(reservation, generation.prompt_tokens, generation.completion_tokens)
            return generation

    async def _written(self, request: Request, prompt: Prompt) -> Generation:
        if len(prompt.ids) >= self._context:
            detail = f"the prompt has {len(prompt.ids):,} tokens and the model's context {self._context:,}"
            raise RequestRefused("context_too_long", detail, len(prompt.ids), prompt.opened)
        waiting = _Waiting(request, prompt, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._asked.set()
        return await waiting.answer

    async def _write(self) -> None:
        """Writes batch after batch, until it is cancelled."""
        while True:
            await self._asked.wait()
            wanted = [waiting for waiting in self._waiting if not waiting.answer.done()]  # the others were cancelled
            wanted.sort(key=lambda waiting: -len(waiting.prompt.ids))
            batch = [waiting for waiting in wanted if waiting.sampling == wanted[0].sampling][: self.concurrency]
            taken = {waiting.answer for waiting in batch}
            self._waiting = [waiting for waiting in wanted if waiting.answer not in taken]
            if batch:
                await self._write_batch(batch)
            else:
                self._asked.clear()

    async def _write_batch(self, batch: Sequence[_Waiting]) -> None:
        unwanted = threading.Event()

        def left(_: object) -> None:
            if all(waiting.answer.done() for waiting in batch):
                unwanted.set()

        for waiting in batch:
            waiting.answer.add_done_callback(left)
        outcomes: Sequence[Generation | Exception] | None
        try:
            outcomes = await self._in_thread(batch, unwanted)
        except Exception as error:  # border: transformers has errors of every type; raised to everyone who waits
            outcomes = [error] * len(batch)
        if outcomes is None and len(batch) > 1:
            middle = len(batch) // 2
            await self._write_batch(batch[:middle])
            await self._write_batch(batch[middle:])
            return
        if outcomes is None:
            what = f"a prompt of {len(batch[0].prompt.ids):,} tokens and its answer"
            outcomes = [RequestRefused("server_error", f"{what} did not fit into memory on {self._lm.device}")]
        for waiting, outcome in zip(batch, outcomes, strict=True):
            _settle(waiting, outcome)

    async def _in_thread(self, batch: Sequence[_Waiting], unwanted: threading.Event) -> list[Generation] | None:
        """What the model writes; None where it does not fit into memory."""
        writing = asyncio.create_task(asyncio.to_thread(within_memory, lambda: self._generations(batch, unwanted)))
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            unwanted.set()
            await asyncio.wait([writing])
            raise

    def _generations(self, batch: Sequence[_Waiting], unwanted: threading.Event) -> list[Generation]:
        wanted, temperature, top_p = batch[0].sampling
        width = max(len(waiting.prompt.ids) for waiting in batch)
        watch = Watch(unwanted)
        written = write_tokens(
            self._lm,
            [waiting.prompt.ids for waiting in batch],
            min(wanted, self._context - width),
            temperature=temperature,
            top_p=top_p,
            min_p=self._min_p,
            seed=sum(int(waiting.request.key(self.model), 16) for waiting in batch) % _SEEDS,
            watch=watch,
        )
        return [self._generation(waiting, ids, watch, width) for waiting, ids in zip(batch, written, strict=True)]

    def _generation(self, waiting: _Waiting, ids: list[int], watch: Watch, width: int) -> Generation:
        stopped = bool(ids) and ids[-1] in self._lm.stop_ids
        return Generation(
            written_text(self._lm, ids),
            "stop" if stopped else "length",
            len(waiting.prompt.ids),
            len(ids),
            opened=waiting.prompt.opened,
            context_ran_out=self._context - width < waiting.request.max_new_tokens,
            ttft_s=watch.after_s(1),
            seconds=watch.after_s(len(ids)),
        )


def _engine(lm: CausalLM) -> dict[str, Any]:
    versions = {"version": versions_of(["transformers"])["transformers"], "torch": torch.__version__}
    return {"name": "transformers", **versions, "device": str(lm.device), "padding": "left", "context_tokens": lm.context_tokens}


def _settle(waiting: _Waiting, outcome: Generation | Exception) -> None:
    if waiting.answer.done():  # cancelled meanwhile
        return
    if isinstance(outcome, Generation):
        waiting.answer.set_result(outcome)
    else:
        waiting.answer.set_exception(outcome)
