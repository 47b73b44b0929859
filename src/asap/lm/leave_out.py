"""Scores what remains of a text once a step is left out, for each of its steps: what SPIRIT and leave-one-out ask.

Leaving a step out gives another text, which shares everything before the gap with the whole one. That part is read once: its
keys and values are kept, and only what follows the gap is read again, from the last gap to the first. This takes about half
of the work of reading each text anew, and gives the same numbers up to rounding.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.cache_utils import DynamicCache, DynamicLayer

from asap.lm.causal_lm import CausalLM
from asap.lm.scorer import LeaveOutRequest, LeftOut, Remainder


def leave_out(lm: CausalLM, request: LeaveOutRequest, context_tokens: int) -> LeftOut | None:
    """What remains with all steps, and without each of them; None where the text is longer than the context, or where the model
    keeps more or less than plain keys and values.
    """
    reader = _Reader(lm, request, context_tokens)
    return LeftOut(reader.whole(), reader.without_each(None if request.tail else request.suffix_tokens)) if reader.fits else None


class _Reader:
    """One text read by a transformers model that keeps the keys and values of what it read."""

    def __init__(self, lm: CausalLM, request: LeaveOutRequest, context_tokens: int) -> None:
        self.lm, self.request = lm, request
        self.ids, self.asked = self._tokens(request.text())
        self.fits = len(self.ids) <= context_tokens and lm.head is not None
        if self.fits:
            self._read_all()
            # A cache that forgets, or a state that cannot be cut back, would not give the numbers of a text read anew.
            self.fits = all(type(layer) is DynamicLayer for layer in self._cache.layers)

    def _tokens(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The tokens of context and text, and which of them are scored."""
        tokens, context = self.lm.tokens, self.request.context
        encoded = tokens.encode(context + text)
        start = len(context) + self.request.scored_span(text).start
        asked = encoded.ends > start
        ids = encoded.ids
        if tokens.bos_id is not None and ids[:1].tolist() != [tokens.bos_id]:
            ids, asked = np.concatenate([[tokens.bos_id], ids]), np.concatenate([[False], asked])
        if len(asked):
            asked[0] = False  # nothing predicts the very first token
        return ids, asked

    def _read_all(self) -> None:
        self._cache = DynamicCache(config=self.lm.model.config)
        self._hidden = self._read(self.ids, 0)
        self._nll = np.zeros(len(self.ids))
        places = np.flatnonzero(self.asked)
        self._nll[places] = self._surprisals(self._hidden[places - 1], self.ids[places])
        self._cached = len(self.ids)

    def _read(self, ids: NDArray[np.int64], before: int) -> torch.Tensor:
        """The last hidden states of the tokens after the first `before`, whose keys and values are in the cache."""
        with torch.inference_mode():
            rows = torch.from_numpy(ids[before:])[None].to(self.lm.device)
            places = torch.arange(before, len(ids), device=self.lm.device)[None]
            out = self.lm.model.base_model(input_ids=rows, position_ids=places, past_key_values=self._cache, use_cache=True)
        hidden: torch.Tensor = out.last_hidden_state[0]
        return hidden

    def _cut_cache(self, length: int) -> None:
        if beyond := self._cache.get_seq_length() - length:
            self._cache.crop(-beyond)

    def _surprisals(self, hidden: torch.Tensor, targets: NDArray[np.int64]) -> NDArray[np.float64]:
        return -self.lm.logprobs_of(hidden, torch.from_numpy(targets).to(self.lm.device)) if len(targets) else np.zeros(0)

    def whole(self) -> Remainder:
        """What remains with all steps."""
        return Remainder(float(self._nll[self.asked].sum()), int(self.asked.sum()))

    def without_each(self, suffix_tokens: int | None) -> list[Remainder]:
        """What remains without each step. From the last to the first, so that the cache only gets shorter."""
        found = [self._without(index, suffix_tokens) for index in reversed(range(len(self.request.steps)))]
        return found[::-1]

    def _without(self, index: int, suffix_tokens: int | None) -> Remainder:
        ids, asked = self._tokens(self.request.text(index))
        shorter = min(len(ids), len(self.ids))
        differs = np.flatnonzero(ids[:shorter] != self.ids[:shorter])
        same = min(int(differs[0]) if len(differs) else shorter, self._cached)
        if self.request.tail:  # its surprisals in the whole text are no help: the tail may have moved to the front
            same = min(same, int(asked.argmax()))
        before = float(self._nll[:same][asked[:same]].sum())
        if same >= len(ids):
            return Remainder(before, int(asked.sum()))
        stop = len(ids) if suffix_tokens is None else min(len(ids), same + suffix_tokens)
        self._cut_cache(same)
        read = self._read(ids[:stop], same)
        hidden = torch.cat([self._hidden[same - 1 : same] if same else read[:1], read[:-1]])  # a very first token is not asked about
        places = same + np.flatnonzero(asked[same:stop])
        behind = float(self._surprisals(hidden[places - same], ids[places]).sum())
        self._cut_cache(same)
        self._cached = same
        unread = len(ids) - stop  # these stand at the end of the whole text too, with about the same surprisal
        return Remainder(before + behind + float(self._nll[len(self.ids) - unread :].sum() if unread else 0.0), int(asked.sum()))
