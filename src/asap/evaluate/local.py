"""A transformers model in this process, on CPU, CUDA or MPS: prompts of similar length share a batch, padded on the left."""

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from asap.digest import content_digest
from asap.errors import InputError
from asap.evaluate.writing import Ask, Kept, Settings, Written, counted, rendered, reopened
from asap.lm.hub import Dtype, load_causal_lm_on, load_config
from asap.lm.model import context_limit, identity_of, pick_device, pick_dtype
from asap.lm.tokens import TokenCounter
from asap.lm.transformers import take_stops
from asap.versions import versions_of

_SEEDS = 1 << 63


class _Prompt:
    """An ask with its token ids."""

    def __init__(self, ask: Ask, tokens: TokenCounter) -> None:
        self.ask = ask
        self.ids, self.opened = rendered(tokens, ask.messages)


class LocalModel:
    """A Generator that writes `concurrency` texts at once with `generate`.

    At temperature 0 the likeliest token is taken; in a batch, near-ties can fall otherwise than alone. Above, the draws of a batch
    come from a seed made of its requests. The model's own sampling defaults are not used, its stop tokens are. A batch that does
    not fit into memory is halved.
    """

    def __init__(self, name: str, *, spec: str, concurrency: int, dtype: Dtype = "auto", device: str = "auto") -> None:
        self._name = name
        self._device = pick_device(device)
        self._dtype = pick_dtype(dtype, self._device)
        self._config = load_config(name)
        self.tokens: TokenCounter | None = TokenCounter.load(name, spec)
        self._tokens: TokenCounter = self.tokens
        if not self._tokens.hf.chat_template:
            raise InputError(f"{name} has no chat template, so it answers no questions; use its chat or instruct version")
        self._context = context_limit(self._config)
        self.concurrency = concurrency
        identity = identity_of(name, spec, self._config, self._dtype)
        versions = versions_of(["transformers"])
        engine = {"name": "transformers", "version": versions["transformers"], "torch": torch.__version__}
        engine |= {"device": str(self._device), "padding": "left"}
        self.identity: Mapping[str, Any] = {**identity, "engine": {**engine, "context_tokens": self._context}}
        self._model: Any = None

    async def write(self, asks: Sequence[Ask], settings: Settings, kept: Kept) -> None:
        """Write them all, the longest prompts first; `kept` is called with each as it comes. Raises InputError."""
        if self._model is None:
            await asyncio.to_thread(self._load)
        prompts = sorted((_Prompt(ask, self._tokens) for ask in asks), key=lambda prompt: -len(prompt.ids))
        too_long = [prompt for prompt in prompts if len(prompt.ids) >= self._context]
        for prompt in too_long:
            kept(prompt.ask, Written("", "too_long", len(prompt.ids), 0, None, None, None, 0.0, prompt.opened))
        prompts = prompts[len(too_long) :]
        for start in range(0, len(prompts), self.concurrency):
            for prompt, written in await self._batch(prompts[start : start + self.concurrency], settings):
                kept(prompt.ask, written)

    async def _batch(self, prompts: Sequence[_Prompt], settings: Settings) -> list[tuple[_Prompt, Written]]:
        unwanted = threading.Event()
        writing = asyncio.create_task(asyncio.to_thread(self._generate, prompts, settings, unwanted))
        try:
            return list(zip(prompts, await asyncio.shield(writing), strict=True))
        except asyncio.CancelledError:
            unwanted.set()
            await asyncio.wait([writing])
            raise
        except (torch.OutOfMemoryError, MemoryError) as error:
            if len(prompts) == 1:
                raise InputError(
                    f"a prompt of {len(prompts[0].ids):,} tokens and its answer do not fit into the memory of {self._device}"
                ) from error
        middle = len(prompts) // 2
        return await self._batch(prompts[:middle], settings) + await self._batch(prompts[middle:], settings)

    def _load(self) -> None:
        self._model = load_causal_lm_on(self._device, self._name, config=self._config, dtype=self._dtype)
        self._stops = take_stops(self._model, self._tokens)

    def _generate(self, prompts: Sequence[_Prompt], settings: Settings, unwanted: threading.Event) -> list[Written]:
        width = max(len(prompt.ids) for prompt in prompts)
        pad = self._stops[0] if self._stops else 0
        ids = torch.tensor([[pad] * (width - len(prompt.ids)) + prompt.ids for prompt in prompts], device=self._device)
        mask = torch.tensor([[0] * (width - len(prompt.ids)) + [1] * len(prompt.ids) for prompt in prompts], device=self._device)
        limit = min(settings.max_new_tokens, self._context - width)
        watch = _Watch(len(prompts), width, self._stops, unwanted)
        options: dict[str, Any] = {"do_sample": False}
        if settings.temperature > 0:
            options = {"do_sample": True, "temperature": settings.temperature, "top_p": settings.top_p, "top_k": 0}
        with torch.inference_mode(), torch.random.fork_rng([self._device] if self._device.type == "cuda" else []):
            torch.manual_seed(int(content_digest([(prompt.ask.key, prompt.ask.seed) for prompt in prompts]), 16) % _SEEDS)
            watch.started = time.perf_counter()
            out = self._model.generate(
                ids,
                attention_mask=mask,
                max_new_tokens=limit,
                eos_token_id=self._stops or None,
                pad_token_id=pad,
                stopping_criteria=[watch],
                **options,
            )
        short = limit < settings.max_new_tokens
        return [
            self._written(prompt, row[width:].tolist(), watch, at, short) for at, (prompt, row) in enumerate(zip(prompts, out, strict=True))
        ]

    def _written(self, prompt: _Prompt, ids: list[int], watch: "_Watch", row: int, short: bool) -> Written:
        end = next((at for at, token in enumerate(ids) if token in self._stops), None)
        stopped_by = "stop" if end is not None else "context" if short else "length"
        total = len(ids) if end is None else end + 1
        # The tags of thinking are plain tokens in the models that have them, so they are still there.
        text = self._tokens.hf.decode(ids[: total if end is None else end], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        text = reopened(text, prompt.opened)
        thinking, answer = counted(text, total, self._tokens)
        return Written(
            text, stopped_by, len(prompt.ids), total, thinking, answer, watch.first_s, watch.ended_s.get(row, watch.last_s), prompt.opened
        )


class _Watch:
    """A stopping criterion that stops only when nobody wants the rest; it takes down when rows begin and end."""

    def __init__(self, rows: int, width: int, stops: Sequence[int], unwanted: threading.Event) -> None:
        self.started = time.perf_counter()
        self.first_s: float | None = None
        self.last_s = 0.0
        self.ended_s = dict[int, float]()
        self._rows, self._width, self._stops, self._unwanted = rows, width, stops, unwanted

    def __call__(self, ids: Tensor, _scores: Any, **_: Any) -> Tensor:
        last = ids[:, -1].tolist()  # waits for the device, so the times are true
        now = time.perf_counter() - self.started
        self.first_s = now if self.first_s is None else self.first_s
        self.last_s = now
        for row, token in enumerate(last):
            if token in self._stops and row not in self.ended_s:
                self.ended_s[row] = now
        return torch.full((self._rows,), self._unwanted.is_set(), device=ids.device)
