"""A causal language model of transformers in this process: what scoring and writing with it have in common.

Configuration and tokenizer are read at once, so a bad model is refused early; the weights are loaded with their first use.
No code from a model repository is run.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asap.errors import InputError
from asap.lm.adapter import Adapters, model_adapter
from asap.lm.cpu import multiply_fast
from asap.lm.cuda import attend_in_any_shape
from asap.lm.hub import Dtype, load_causal_lm_on, load_config
from asap.lm.model import context_limit, identity_of, pick_device, pick_dtype
from asap.lm.tokens import TokenCounter
from asap.lm.vocabulary_head import VocabularyHead, find_head

_BY_LENGTH = ("longrope", "dynamic")  # transformers' names for rotations that follow the length of a text
_CAUSAL_SHARE = 0.05  # of the largest logit: far above rounding in bfloat16, far below what a changed later token does to BERT


class Weights:
    """The weights of a model on a device, in memory with their first use, and the adapters that were put on them."""

    def __init__(self, name: str, dtype: torch.dtype, device: torch.device) -> None:
        self.name, self.dtype, self.device = name, dtype, device
        self.config = load_config(name)

    @cached_property
    def model(self) -> Any:
        """The model of transformers. Raises InputError where it cannot be loaded or does not fit into memory."""
        if self.device.type == "cpu":
            multiply_fast()
        elif self.device.type == "cuda":
            attend_in_any_shape()
        return load_causal_lm_on(self.device, self.name, config=self.config, dtype=self.dtype)

    @cached_property
    def adapters(self) -> Adapters:
        """The adapters on the model."""
        return Adapters(self.model)

    @cached_property
    def eos_ids(self) -> list[int]:
        """The tokens that end a text by the model's generation settings.

        Empties the settings: their values would fill in what a call of `generate` leaves out.
        """
        eos = self.model.generation_config.eos_token_id
        self.model.generation_config = type(self.model.generation_config)()
        return [int(token) for token in (eos if isinstance(eos, list) else [eos]) if token is not None]


class CausalLM:
    """The model in a folder or on the Hub, its tokenizer, and where and in which numbers it computes.

    Where a folder holds an adapter in the place of a model, it is the adapter's base with it: in the memory of `on`, or in its own.
    """

    def __init__(
        self, name: str, *, spec: str | None = None, dtype: Dtype = "auto", device: str = "auto", on: "CausalLM | None" = None
    ) -> None:
        self.name = name
        self.device: torch.device = on.device if on else pick_device(device)
        self.dtype: torch.dtype = on.dtype if on else pick_dtype(dtype, self.device)
        self._adapter = adapter = model_adapter(name)
        self.weights: Weights = on.weights if on else Weights(adapter.checked_base() if adapter else name, self.dtype, self.device)
        self.config = self.weights.config
        self.tokens = TokenCounter.load(adapter.tokenizer_folder if adapter else name, spec)
        self.context_tokens = context_limit(self.config)
        self.identity = identity_of(self.weights.name, spec or f"hf:{name}", self.config, self.dtype)
        if adapter:
            adapter.check_base(self.weights.name)
            self.identity |= {"adapter": adapter.name, "adapter_revision": adapter.revision}

    @property
    def model(self) -> Any:
        """The model of transformers, with this adapter and no other. Raises InputError where it cannot be loaded or used."""
        self.weights.adapters.use(self._adapter)
        return self.weights.model

    @cached_property
    def stop_ids(self) -> list[int]:
        """The tokens that end a text: those of the model's generation settings and the tokenizer's own."""
        own = self.tokens.hf.eos_token_id
        return list(dict.fromkeys([*self.weights.eos_ids, *([] if own is None else [int(own)])]))

    @cached_property
    def rotates_alike(self) -> int:
        """Up to how many tokens the length of a text does not change how its positions are rotated: LongRoPE, of Phi, has other
        frequencies for the whole of a longer text.
        """
        config = self.config.get_text_config()
        rotations = getattr(config, "rope_parameters", None) or {}
        by_length = [one for one in (rotations, *rotations.values()) if isinstance(one, Mapping) and one.get("rope_type") in _BY_LENGTH]
        return min((one.get("original_max_position_embeddings") or context_limit(config) for one in by_length), default=1 << 30)

    @cached_property
    def head(self) -> VocabularyHead | None:
        """What makes logits from hidden states; None where only the model itself can. Raises InputError for a model that sees later
        tokens.
        """
        self._check_causal()
        return find_head(self.model)

    def _check_causal(self) -> None:
        """Raise InputError for a model that sees later tokens: transformers loads BERT and its kin as language models too."""
        first = torch.arange(8, device=self.device) % self.model.get_input_embeddings().num_embeddings
        ids = torch.stack([first, torch.cat([first[:4], first[:4].flip(0)])])  # equal in their first half only
        with torch.inference_mode():
            logits = self.model(input_ids=ids, use_cache=False).logits.float()
        if (logits[0, :4] - logits[1, :4]).abs().max() > _CAUSAL_SHARE * logits.abs().max():
            raise InputError(f"{self.name} is not a causal language model: its prediction of a token depends on later tokens")

    def logprobs_of(self, hidden: Tensor, targets: Tensor) -> NDArray[np.float64]:
        """Log-probabilities of tokens, each predicted from a last hidden state; only where there is a `head`."""
        assert self.head is not None
        with torch.inference_mode():
            values = self.head.scores(hidden, targets)
        return values[:, 0].cpu().double().numpy()
