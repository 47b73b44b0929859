"""Any chat model through transformers as the LLM, in this process, on CPU, CUDA or MPS."""

import asyncio
import sys
import threading
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from asap.errors import InputError
from asap.lm.generate import Generation, Request, RequestRefused
from asap.lm.hub import Dtype, load_causal_lm_on, load_config
from asap.lm.llama_cpp import MIN_P
from asap.lm.model import context_limit, identity_of, pick_device, pick_dtype
from asap.lm.spending import SpendingLimit
from asap.lm.tokens import TokenCounter, count_prompt
from asap.think import opened_by, strip_think

_SEEDS = 1 << 63


class Writer:
    """A Generator that writes with `generate`, one request at a time.

    At temperature 0 the likeliest token is taken; above, tokens are drawn with a seed made from the request, so the same
    request gets the same reply on the same machine. The model's own sampling defaults are not used. `schema` is only a wish
    here. A model without a chat template is refused, as it follows no instructions. The weights are loaded in `__aenter__`.
    A cancelled request ends at the next token, but not while the prompt is read.
    """

    def __init__(
        self,
        name: str,
        *,
        spec: str,
        dtype: Dtype = "auto",
        device: str = "auto",
        context_tokens: int | None = None,
        spending: SpendingLimit | None = None,
    ) -> None:
        self._name = name
        self._device = pick_device(device)
        self._dtype = pick_dtype(dtype, self._device)
        self._config = load_config(name)
        self._tokens = TokenCounter.load(name, spec)
        if not self._tokens.hf.chat_template:
            raise InputError(f"{name} has no chat template, so it is no model that follows instructions; use its chat or instruct version")
        self._context = min(context_limit(self._config), context_tokens or sys.maxsize)
        identity = identity_of(name, spec, self._config, self._dtype)
        self.model = f"{identity['model']}-{identity['revision'][:16]}-{identity['dtype']}"
        self.identity: Mapping[str, str] = {**identity, "min_p": str(MIN_P)}
        self.tokens: TokenCounter | None = self._tokens
        self.context_tokens: int | None = self._context
        self.concurrency = 1
        self._spending = spending or SpendingLimit(None)
        self._model: Any = None

    async def __aenter__(self) -> "Writer":
        self._turn = asyncio.Lock()
        if self._model is None:
            await asyncio.to_thread(self._load)
        return self

    async def __aexit__(self, *error: object) -> None:
        pass  # a cancelled request has waited for its thread

    def _load(self) -> None:
        self._model = load_causal_lm_on(self._device, self._name, config=self._config, dtype=self._dtype)
        self._stops = take_stops(self._model, self._tokens)

    async def generate(self, request: Request) -> Generation:
        """The reply. Raises RequestRefused or SpendingStop."""
        async with self._turn, self._spending.reserve(count_prompt(request.messages, self.tokens), request.max_new_tokens) as reservation:
            unwanted = threading.Event()
            writing = asyncio.create_task(asyncio.to_thread(self._write, request, unwanted))
            try:
                reply = await asyncio.shield(writing)
            except asyncio.CancelledError:
                unwanted.set()
                await asyncio.wait([writing])
                raise
            except RequestRefused:
                self._spending.settle(reservation, 0, 0)
                raise
            self._spending.settle(reservation, reply.prompt_tokens, reply.completion_tokens)
            return reply

    def _write(self, request: Request, unwanted: threading.Event) -> Generation:
        prompt, text = self._prompt(request)
        room = self._context - prompt.shape[1]
        if room < 1:
            raise RequestRefused("context_too_long", f"the prompt has {prompt.shape[1]:,} tokens and the model's context {self._context:,}")
        try:
            written = self._generate(prompt, request, min(request.max_new_tokens, room), unwanted)
        except (torch.OutOfMemoryError, MemoryError) as error:
            detail = f"a prompt of {prompt.shape[1]:,} tokens and its reply did not fit into memory on {self._device}"
            raise RequestRefused("server_error", detail) from error
        stopped = bool(written) and written[-1] in self._stops
        # The tags of thinking are plain tokens in the models that have them, so they are still there.
        shown = self._tokens.hf.decode(written[:-1] if stopped else written, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return Generation(strip_think(shown, opened=opened_by(text)), "stop" if stopped else "length", prompt.shape[1], len(written))

    def _prompt(self, request: Request) -> tuple[Tensor, str]:
        """The ids of the messages in the model's own template, with exactly one BOS where the model wants one, and their text."""
        import jinja2

        try:
            text = self._tokens.hf.apply_chat_template(
                [dict(message) for message in request.messages], add_generation_prompt=True, tokenize=False
            )
        except jinja2.TemplateError as error:  # some templates refuse a system message
            raise RequestRefused("bad_request", f"the chat template of {self._tokens.name} refuses the prompt: {error}") from error
        return torch.tensor([self._tokens.input_ids(text)], device=self._device), text

    def _generate(self, prompt: Tensor, request: Request, limit: int, unwanted: threading.Event) -> list[int]:
        """The ids that follow the prompt, at most `limit`, the stop token included."""
        import transformers

        def is_unwanted(ids: Tensor, _scores: Any) -> Tensor:
            return torch.full((ids.shape[0],), unwanted.is_set(), device=ids.device)

        options: dict[str, Any] = {"do_sample": False}
        if request.temperature > 0:
            options = {"do_sample": True, "temperature": request.temperature, "top_p": request.top_p, "top_k": 0}
            options["logits_processor"] = [transformers.MinPLogitsWarper(MIN_P)]  # comes before the temperature
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices):
            torch.manual_seed(int(request.key(self.model), 16) % _SEEDS)
            ids = self._model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=limit,
                eos_token_id=self._stops or None,
                pad_token_id=self._stops[0] if self._stops else 0,
                stopping_criteria=[is_unwanted],
                **options,
            )
        return [int(token) for token in ids[0, prompt.shape[1] :]]


def take_stops(model: Any, tokens: TokenCounter) -> list[int]:
    """The ids that end a reply: those of the model's generation settings and the tokenizer's own.

    The settings are emptied: their values would fill in what a call of `generate` does not set.
    """
    stops = _stop_ids(model, tokens)
    model.generation_config = type(model.generation_config)()
    return stops


def _stop_ids(model: Any, tokens: TokenCounter) -> list[int]:
    told = model.generation_config.eos_token_id
    ids = told if isinstance(told, list) else [told]
    return list(dict.fromkeys(int(token) for token in (*ids, tokens.hf.eos_token_id) if token is not None))
