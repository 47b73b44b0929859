"""Text that a model of transformers writes behind a batch of prompts.

A batch writes as long as its longest text. So texts that have ended leave it: whenever a quarter of them have, the others go on in a
smaller batch, with their keys and values.
"""

import threading
import time
from collections.abc import Sequence
from typing import Any

import torch
import transformers
from torch import Tensor

from asap.lm.causal_lm import CausalLM

_LEAVING = 4
_BY_TEXT = {"full_attention", "sliding_attention", "chunked_attention"}
"""Kinds of layers whose cache is kept text by text, by transformers' names."""


class Watch:
    """A stopping criterion that takes down when each token came, and stops the batch where nobody wants the rest or texts should leave."""

    def __init__(self, unwanted: threading.Event | None = None) -> None:
        self.unwanted = unwanted or threading.Event()
        self._started = time.perf_counter()
        self._seconds = list[float]()
        self._stops = frozenset[int]()

    def let_leave(self, stops: Sequence[int]) -> None:
        """Stop the batch when a quarter of its texts have ended with one of these tokens."""
        self._stops = frozenset(stops)

    def __call__(self, ids: Tensor, _scores: Any, **_: Any) -> Tensor:
        """Whether each row is to stop; called after each token."""
        last = ids[:, -1].tolist()  # waits for the device, so the times are true
        self._seconds.append(time.perf_counter() - self._started)
        leave = sum(token in self._stops for token in last) * _LEAVING >= len(last)
        return torch.full((len(ids),), leave or self.unwanted.is_set(), device=ids.device)

    def after_s(self, tokens: int) -> float:
        """Seconds from the start until this number of tokens was written."""
        return self._seconds[tokens - 1]


def write_tokens(
    lm: CausalLM,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    *,
    temperature: float = 0.0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    seed: int = 0,
    stop_strings: Sequence[str] = (),
    watch: Watch | None = None,
) -> list[list[int]]:
    """The ids that the model writes after each prompt, its stop token included. In a batch near-ties can fall otherwise than alone."""
    watch, model = watch or Watch(), lm.model
    options = _options(lm, temperature, top_p, min_p, stop_strings)
    width, pad = max(map(len, prompts)), lm.stop_ids[0] if lm.stop_ids else 0
    ids = torch.tensor([[pad] * (width - len(prompt)) + [*prompt] for prompt in prompts], device=lm.device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=lm.device)
    written, rows, cache = [list[int]() for _ in prompts], list(range(len(prompts))), None
    leaving = not stop_strings and _texts_can_leave(model)  # where a string ends a text, transformers alone knows that it has ended
    if leaving:
        watch.let_leave(lm.stop_ids)
    with torch.inference_mode(), torch.random.fork_rng([lm.device] if lm.device.type == "cuda" else []):
        torch.manual_seed(seed)
        while rows:
            out = model.generate(
                ids,
                attention_mask=mask,
                max_new_tokens=max_new_tokens - (ids.shape[1] - width),
                eos_token_id=lm.stop_ids or None,
                pad_token_id=pad,
                stopping_criteria=[watch],
                past_key_values=cache,
                return_dict_in_generate=True,
                **options,
            )
            ids, cache = out.sequences, out.past_key_values
            mask = torch.nn.functional.pad(mask, (0, ids.shape[1] - mask.shape[1]), value=1)
            new = [_up_to_stop(row, lm.stop_ids) for row in ids[:, width:].tolist()]
            for row, text in zip(rows, new, strict=True):
                written[row] = text
            if not leaving or watch.unwanted.is_set() or ids.shape[1] - width >= max_new_tokens:
                break
            left = [place for place, text in enumerate(new) if text[-1] not in lm.stop_ids]
            rows, ids, mask = [rows[place] for place in left], ids[left], mask[left]
            if rows:
                cache.batch_select_indices(torch.tensor(left, device=lm.device))
    return written


def _texts_can_leave(model: Any) -> bool:
    """Whether all layers keep keys and values by text; states of recurrent layers cannot be parted."""
    kinds = getattr(model.config.get_text_config(), "layer_types", None) or ()
    return not getattr(model, "_is_stateful", False) and set(kinds) <= _BY_TEXT


def _options(lm: CausalLM, temperature: float, top_p: float, min_p: float, stop_strings: Sequence[str]) -> dict[str, Any]:
    """How transformers is to choose and to end."""
    options: dict[str, Any] = {"do_sample": False}
    if temperature > 0:
        options = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
        if min_p > 0:
            options["logits_processor"] = [transformers.MinPLogitsWarper(min_p)]  # comes before the temperature
    return options | ({"stop_strings": list(stop_strings), "tokenizer": lm.tokens.hf} if stop_strings else {})


def _up_to_stop(ids: list[int], stops: Sequence[int]) -> list[int]:
    end = next((place for place, token in enumerate(ids) if token in stops), len(ids))
    return ids[: end + 1]


def written_text(lm: CausalLM, ids: Sequence[int]) -> str:
    """The text of written tokens without the stop token. Tags of thinking are plain tokens in models that have them, so they stay."""
    shown = list(ids[:-1]) if ids and ids[-1] in lm.stop_ids else list(ids)
    return str(lm.tokens.hf.decode(shown, skip_special_tokens=True, clean_up_tokenization_spaces=False))
