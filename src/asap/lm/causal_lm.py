"""A causal language model of transformers in this process: what scoring and writing with it have in common.

Configuration and tokenizer are read at once, so a bad model is refused early; the weights are loaded with their first use.
No code from a model repository is run.
"""

from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asap.errors import InputError
from asap.lm.cpu import multiply_by_onednn
from asap.lm.cuda import attend_in_any_shape
from asap.lm.hub import Dtype, load_causal_lm_on, load_config
from asap.lm.model import context_limit, identity_of, pick_device, pick_dtype
from asap.lm.tokens import TokenCounter
from asap.lm.vocabulary_head import VocabularyHead, find_head

_CAUSAL_SHARE = 0.05  # of the largest logit: far above rounding in bfloat16, far below what a changed later token does to BERT


class CausalLM:
    """The model in a folder or on the Hub, its tokenizer, and where and in which numbers it computes."""

    def __init__(self, name: str, *, spec: str | None = None, dtype: Dtype = "auto", device: str = "auto") -> None:
        self.name = name
        self.device = pick_device(device)
        self.dtype = pick_dtype(dtype, self.device)
        self.config = load_config(name)
        self.tokens = TokenCounter.load(name, spec)
        self.context_tokens = context_limit(self.config)
        self.identity = identity_of(name, spec or f"hf:{name}", self.config, self.dtype)

    @cached_property
    def model(self) -> Any:
        """The model of transformers. Raises InputError where it cannot be loaded or does not fit into memory."""
        if self.device.type == "cpu":
            multiply_by_onednn()
        elif self.device.type == "cuda":
            attend_in_any_shape()
        return load_causal_lm_on(self.device, self.name, config=self.config, dtype=self.dtype)

    @cached_property
    def stop_ids(self) -> list[int]:
        """The tokens that end a text: those of the model's generation settings and the tokenizer's own.

        Empties the settings: their values would fill in what a call of `generate` leaves out.
        """
        eos = self.model.generation_config.eos_token_id
        ids = eos if isinstance(eos, list) else [eos]
        self.model.generation_config = type(self.model.generation_config)()
        return list(dict.fromkeys(int(token) for token in (*ids, self.tokens.hf.eos_token_id) if token is not None))

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
