"""One reading of a text whose keys and values are kept, and probes that see only some of it.

Probes are read side by side in one forward pass, under a mask by which each sees its own part of the kept text and itself. A probe that
sees the beginning of the text up to a place is exact; where a part in the middle is hidden, what stands behind it has still seen it.
Needs plain attention (sdpa or eager) and a model whose layers keep all keys: others are refused.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.cache_utils import DynamicCache, DynamicLayer

from asap.errors import RowError, UsageError
from asap.lm.causal_lm import CausalLM

_AT_ONCE = 768  # tokens of probes in one pass
_CLOSE = 0.02  # nats, of a model in float32; in bfloat16 ten times as much


class Probe(NamedTuple):
    """Ids that are read as if the first one stood at `position`, behind the kept tokens that `sees` marks."""

    ids: NDArray[np.int64]
    sees: NDArray[np.bool_]
    position: int


class Prefill:
    """Ids, read once. `tokens_read` counts all that the model has read for them and for probes."""

    def __init__(self, lm: CausalLM, ids: NDArray[np.int64]) -> None:
        if len(ids) > lm.context_tokens:
            raise RowError("too_long", f"a bet reads the trace at once: {len(ids):,} tokens are more than {lm.context_tokens:,}")
        self.lm, self.length, self.tokens_read = lm, len(ids), len(ids)
        self._cache = DynamicCache(config=lm.model.config)
        self._read(ids, np.arange(len(ids)), None)
        if not all(type(layer) is DynamicLayer for layer in self._cache.layers):
            raise UsageError(f"{lm.name} keeps more or less than plain keys and values (a sliding window, a state): no probe can be exact")

    @classmethod
    def of(cls, lm: CausalLM, ids: NDArray[np.int64]) -> "Prefill":
        """The ids, read by a model that takes a mask of one's own. Raises UsageError for any other."""
        check_masks(lm)
        return cls(lm, ids)

    def logprobs(self, probes: Sequence[Probe]) -> list[NDArray[np.float64]]:
        """The log-probabilities of each probe's ids but the first."""
        return [found for group in _groups(probes) for found in self._logprobs(group)]

    def _logprobs(self, probes: Sequence[Probe]) -> list[NDArray[np.float64]]:
        ids = np.concatenate([probe.ids for probe in probes])
        places = np.concatenate([np.arange(probe.position, probe.position + len(probe.ids)) for probe in probes])
        hidden = self._read(ids, places, self._mask(probes))
        self._cache.crop(-len(ids))
        self.tokens_read += len(ids)
        ends = np.cumsum([len(probe.ids) for probe in probes])
        firsts = ends - [len(probe.ids) for probe in probes]
        rows = np.setdiff1d(np.arange(len(ids)), ends - 1)
        device = self.lm.device
        found = self.lm.logprobs_of(hidden[torch.from_numpy(rows).to(device)], torch.from_numpy(ids[rows + 1]).to(device))
        return np.split(found, (firsts - np.arange(len(probes)))[1:])

    def _mask(self, probes: Sequence[Probe]) -> torch.Tensor:
        """What is added to attention scores: 0 where a token sees another one, else the lowest number. [1, 1, tokens, kept + tokens]."""
        number = np.repeat(np.arange(len(probes)), [len(probe.ids) for probe in probes])
        kept = np.stack([probe.sees for probe in probes])[number]
        own = (number[:, None] == number) & np.tri(len(number), dtype=bool)
        sees = torch.from_numpy(np.concatenate([kept, own], axis=1)).to(self.lm.device)
        dtype = self.lm.model.dtype
        return torch.zeros(sees.shape, dtype=dtype, device=sees.device).masked_fill(~sees, torch.finfo(dtype).min)[None, None]

    def _read(self, ids: NDArray[np.int64], places: NDArray[np.int64], mask: torch.Tensor | None) -> torch.Tensor:
        given: dict[str, Any] = {} if mask is None else {"attention_mask": mask}
        rows, positions = (torch.from_numpy(values)[None].to(self.lm.device) for values in (ids, places))
        with torch.inference_mode():
            out = self.lm.model.base_model(input_ids=rows, position_ids=positions, past_key_values=self._cache, use_cache=True, **given)
        hidden: torch.Tensor = out.last_hidden_state[0]
        return hidden


def _groups(probes: Sequence[Probe]) -> Iterator[Sequence[Probe]]:
    """The probes in their order, as many at once as fit."""
    start = tokens = 0
    for end, probe in enumerate(probes):
        if end > start and tokens + len(probe.ids) > _AT_ONCE:
            yield probes[start:end]
            start, tokens = end, 0
        tokens += len(probe.ids)
    if start < len(probes):
        yield probes[start:]


def check_masks(lm: CausalLM) -> None:
    """Raise UsageError unless the model reads probes under a mask as it reads them behind a text that ends there; found by trying."""
    if lm in _CHECKED:
        return
    attention = getattr(lm.model.config, "_attn_implementation", None)
    if attention not in ("sdpa", "eager") or lm.head is None:
        raise UsageError(f"{lm.name} attends by {attention}: bets need sdpa or eager attention and a known output layer")
    ids = np.arange(24) % lm.model.get_input_embeddings().num_embeddings
    far = 0.0
    try:
        kept = Prefill(lm, ids)
        probes = [Probe(ids[::-1][:6].copy(), np.arange(24) < seen, seen) for seen in (9, 24)]
        for probe, found in zip(probes, kept.logprobs(probes), strict=True):
            plain = Prefill(lm, ids[: probe.position]).logprobs([probe._replace(sees=np.ones(probe.position, bool))])[0]
            far = max(far, float(np.abs(found - plain).max()))
            far = max(far, float(np.abs(plain - _read_anew(lm, np.concatenate([ids[: probe.position], probe.ids]))[-5:]).max()))
    except (TypeError, ValueError, RuntimeError) as error:  # models that take no positions, or no mask of this form
        raise UsageError(f"{lm.name} does not take a mask of one's own ({type(error).__name__}): bets need another model") from error
    if far > _CLOSE * (1 if lm.model.dtype == torch.float32 else 10):
        raise UsageError(f"{lm.name} reads a probe under a mask otherwise than without one ({far:.2g} nats): bets need another model")
    _CHECKED.append(lm)


_CHECKED: list[CausalLM] = []


def _read_anew(lm: CausalLM, ids: NDArray[np.int64]) -> NDArray[np.float64]:
    with torch.inference_mode():
        hidden = lm.model.base_model(input_ids=torch.from_numpy(ids)[None].to(lm.device), use_cache=False).last_hidden_state[0]
    return lm.logprobs_of(hidden[:-1], torch.from_numpy(ids[1:]).to(lm.device))
