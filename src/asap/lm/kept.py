"""A text whose keys and values are kept, so that texts that begin like it are read only from where they differ.

Leaving a step out of a text, or stopping it behind a step, gives another text that shares its beginning. Reading only the rest gives
the same numbers up to rounding.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.cache_utils import DynamicCache, DynamicLayer

from asap.lm.causal_lm import CausalLM
from asap.lm.tokens import TokenCounter


class Asked(NamedTuple):
    """The ids of a text as a model reads them, the number of the first token that is asked about, and where the tokens from there on
    stand, in characters behind the place that was given. Nothing predicts the very first token.
    """

    ids: NDArray[np.int64]
    first: int
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, tokens: TokenCounter, text: str, place: int) -> "Asked":
        """The ids of a text, which is asked about from a place on."""
        ids, starts, ends = tokens.encode(text)
        first = int(np.searchsorted(ends, place, side="right"))
        asked = starts[first:] - place, ends[first:] - place
        if tokens.bos_id is not None and ids[:1].tolist() != [tokens.bos_id]:
            ids, first = np.concatenate([[tokens.bos_id], ids]), first + 1
        return cls(ids, first, *asked)


class KeptText:
    """Ids read by a transformers model that keeps their keys and values.

    What is kept only gets shorter: read the texts that share most with it first.
    """

    def __init__(self, lm: CausalLM, ids: NDArray[np.int64]) -> None:
        self.lm, self.ids = lm, ids
        self._cache = DynamicCache(config=lm.model.config)
        self.hidden = self._read(ids, 0)
        """The last hidden states of the ids."""
        self._length = len(ids)

    @classmethod
    def of(cls, lm: CausalLM, ids: NDArray[np.int64], context_tokens: int) -> "KeptText | None":
        """The ids, read; None where they are longer than the context, or where the model keeps more or less than plain keys and values."""
        if not 0 < len(ids) <= context_tokens or lm.head is None:
            return None
        kept = cls(lm, ids)
        # A cache that forgets, or a state that cannot be cut back, would not give the numbers of a text read anew.
        return kept if all(type(layer) is DynamicLayer for layer in kept._cache.layers) else None

    def shared(self, ids: NDArray[np.int64]) -> int:
        """How many ids of another text need not be read: those at its start that are the same and still kept."""
        shorter = min(len(ids), self._length)
        differs = np.flatnonzero(ids[:shorter] != self.ids[:shorter])
        return int(differs[0]) if len(differs) else shorter

    def logprobs(self, ids: NDArray[np.int64], shared: int, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Log-probabilities of the ids at some places, none before `shared`, NaN for a very first one; reads all ids behind `shared`."""
        before = self.hidden[shared - 1 : shared]
        self._cut(shared)
        hidden = torch.cat([before, self._read(ids, shared)]) if shared < len(ids) else before
        self._cut(shared)
        found = np.full(len(places), np.nan)
        predicted = places > 0
        rows = torch.from_numpy(places[predicted] - shared + len(before) - 1).to(self.lm.device)
        found[predicted] = self._chosen(hidden[rows], ids[places[predicted]])
        return found

    def own_logprobs(self, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Log-probabilities of the kept ids at some places, none of them the very first."""
        return self._chosen(self.hidden[torch.from_numpy(places - 1).to(self.lm.device)], self.ids[places])

    def _chosen(self, hidden: torch.Tensor, targets: NDArray[np.int64]) -> NDArray[np.float64]:
        return self.lm.logprobs_of(hidden, torch.from_numpy(targets).to(self.lm.device)) if len(targets) else np.zeros(0)

    def _read(self, ids: NDArray[np.int64], before: int) -> torch.Tensor:
        """The last hidden states of the ids after the first `before`, whose keys and values are in the cache."""
        with torch.inference_mode():
            rows = torch.from_numpy(ids[before:])[None].to(self.lm.device)
            places = torch.arange(before, len(ids), device=self.lm.device)[None]
            out = self.lm.model.base_model(input_ids=rows, position_ids=places, past_key_values=self._cache, use_cache=True)
        hidden: torch.Tensor = out.last_hidden_state[0]
        return hidden

    def _cut(self, length: int) -> None:
        if beyond := self._cache.get_seq_length() - length:
            self._cache.crop(-beyond)
        self._length = length
