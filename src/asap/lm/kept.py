"""A text whose keys and values are kept, so that texts that begin like it are read only from where they differ.

Leaving a step out of a text, or stopping it behind a step, gives another text that shares its beginning. Reading only the rest gives
the same numbers up to rounding, and so does reading the rests of many texts side by side, under a mask that hides them from each other.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.cache_utils import DynamicCache, DynamicLayer

from asap.lm.causal_lm import CausalLM
from asap.lm.tokens import Encoded, TokenCounter

_AT_ONCE_ON_CPU, _AT_ONCE_ON_GPU = 256, 2_048  # tokens of a pass: from there on more would hardly be read faster
_TEXTS_AT_ONCE = 16  # of a rest: equal ones, where a trace repeats itself, would otherwise be in memory together
_CLOSE, _CLOSE_NARROW = 1e-3, 0.2  # nats that rounding changes, in float32 and in 16 bits


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
        return cls.of_encoded(tokens, tokens.encode(text), len(text), place)

    @classmethod
    def of_encoded(cls, tokens: TokenCounter, encoded: Encoded, length: int, place: int) -> "Asked":
        """The same of a text whose tokens and length are known."""
        last = int(np.searchsorted(encoded.starts, length))  # white space at the end may have no characters
        ids, starts, ends = (values[:last] for values in encoded)
        first = int(np.searchsorted(ends, place, side="right"))
        asked = starts[first:] - place, ends[first:] - place
        if tokens.bos_id is not None and ids[:1].tolist() != [tokens.bos_id]:
            ids, first = np.concatenate([[tokens.bos_id], ids]), first + 1
        return cls(ids, first, *asked)


class _Rest(NamedTuple):
    """Texts and how many kept ids they begin with. The first is read behind those, all but its last id, which predicts none; the others
    are read with it, since they differ from its start in their own last id at most.
    """

    texts: list[Asked]
    shared: int

    @property
    def read(self) -> NDArray[np.int64]:
        """The ids that are read; none where none is asked about."""
        text = self.texts[0]
        return text.ids[self.shared : -1] if text.first < len(text.ids) else text.ids[:0]

    @property
    def size(self) -> int:
        """What it takes of a pass: the ids that are read, and where these are few, its texts."""
        return max(len(self.read), len(self.texts))

    @property
    def places(self) -> NDArray[np.int64]:
        """Where the read ids stand in the text."""
        return np.arange(self.shared, self.shared + len(self.read))


class KeptText:
    """Ids read by a transformers model that keeps their keys and values.

    What is kept only gets shorter: read the texts that share most with it first.
    """

    def __init__(self, lm: CausalLM, ids: NDArray[np.int64], cache: DynamicCache) -> None:
        self.lm, self.ids, self._cache = lm, ids, cache
        self.hidden = self._read(ids, np.arange(len(ids)))
        """The last hidden states of the ids."""
        self._length = len(ids)

    @classmethod
    def of(cls, lm: CausalLM, ids: NDArray[np.int64], context_tokens: int) -> "KeptText | None":
        """The ids, read; None where they are longer than the context, or where the model keeps more or less than plain keys and values,
        or others for a shorter text.
        """
        if not 0 < len(ids) <= min(context_tokens, lm.rotates_alike) or lm.head is None:
            return None
        cache = DynamicCache(config=lm.model.config)
        if any(type(layer) is not DynamicLayer for layer in cache.layers):
            return None  # what forgets, or a state that cannot be cut back, would not give the numbers of a text read anew
        try:
            kept = cls(lm, ids, cache)
        except (TypeError, ValueError):  # models with a cache of their own kind
            return None
        return kept if cache.get_seq_length() == len(ids) else None

    def shared(self, ids: NDArray[np.int64]) -> int:
        """How many ids of another text need not be read: those at its start that are the same and still kept."""
        shorter = min(len(ids), self._length)
        differs = np.flatnonzero(ids[:shorter] != self.ids[:shorter])
        return int(differs[0]) if len(differs) else shorter

    def asked_logprobs(self, texts: Iterable[Asked], *, beside: bool) -> Iterator[NDArray[np.float64]]:
        """Log-probabilities of the asked ids of each text, NaN for a very first one. Least is read where those that share most come first,
        and where a text is followed by those that it contains but for their last ids.

        `beside`: short rests are read side by side, for a model that `reads_beside`.
        """
        at_once = 0 if not beside else _AT_ONCE_ON_CPU if self.lm.device.type == "cpu" else _AT_ONCE_ON_GPU
        for group in _groups(self._rests(texts), at_once):
            yield from self._read_group(group)

    def _rests(self, texts: Iterable[Asked]) -> Iterator[_Rest]:
        """What is read of the texts, each with those behind it for which nothing else has to be read."""
        last = _Rest([], self._length)
        for text in texts:
            # min: what an earlier text has had cut is gone, even where this one shares more
            one = _Rest([text], min(last.shared, self.shared(text.ids), text.first))
            if 0 < len(last.texts) < _TEXTS_AT_ONCE and one.shared == last.shared and _begins(last.read, one.read):
                last.texts.append(text)
                continue
            if last.texts:
                yield last
            last = one
        if last.texts:
            yield last

    def _read_group(self, rests: Sequence[_Rest]) -> list[NDArray[np.float64]]:
        """The log-probabilities of the asked ids of each text of each rest."""
        self._cut(length := max(rest.shared for rest in rests))
        read, places = (np.concatenate(parts) for parts in zip(*((rest.read, rest.places) for rest in rests), strict=True))
        mask = self._mask(rests) if len(rests) > 1 else None
        hidden = torch.cat([self.hidden[:length], self._read(read, places, mask)]) if len(read) else self.hidden
        self._cut(length)
        rows, begin = list[NDArray[np.int64]](), length
        for rest in rests:
            for asked in rest.texts:
                before = np.arange(asked.first, len(asked.ids)) - 1
                rows.append(np.where(before < rest.shared, before, before - rest.shared + begin))
            begin += len(rest.read)
        wanted, targets = np.concatenate(rows), np.concatenate([text.ids[text.first :] for rest in rests for text in rest.texts])
        found, predicted = np.full(len(wanted), np.nan), wanted >= 0
        found[predicted] = self._chosen(hidden[torch.from_numpy(wanted[predicted]).to(self.lm.device)], targets[predicted])
        return np.split(found, np.cumsum([len(one) for one in rows])[:-1])

    def _mask(self, rests: Sequence[_Rest]) -> torch.Tensor:
        """What is added to attention scores: 0 where a token sees another one, else the lowest number. [1, 1, read, kept + read]."""
        counts = torch.tensor([len(rest.read) for rest in rests])
        number, shared = (
            values.repeat_interleave(counts).to(self.lm.device)
            for values in (torch.arange(len(rests)), torch.tensor([rest.shared for rest in rests]))
        )
        kept = torch.arange(self._length, device=number.device) < shared[:, None]
        own = (number[:, None] == number).tril()
        sees, dtype = torch.cat([kept, own], dim=1), self.lm.model.dtype
        return torch.zeros(sees.shape, dtype=dtype, device=sees.device).masked_fill_(~sees, torch.finfo(dtype).min)[None, None]

    def own_logprobs(self, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Log-probabilities of the kept ids at some places, none of them the very first."""
        return self._chosen(self.hidden[torch.from_numpy(places - 1).to(self.lm.device)], self.ids[places])

    def _chosen(self, hidden: torch.Tensor, targets: NDArray[np.int64]) -> NDArray[np.float64]:
        return self.lm.logprobs_of(hidden, torch.from_numpy(targets).to(self.lm.device)) if len(targets) else np.zeros(0)

    def _read(self, ids: NDArray[np.int64], places: NDArray[np.int64], mask: torch.Tensor | None = None) -> torch.Tensor:
        """The last hidden states of ids at some places behind what is in the cache, which takes up their keys and values."""
        rows, positions = (torch.from_numpy(values)[None].to(self.lm.device) for values in (ids, places))
        given: dict[str, Any] = {} if mask is None else {"attention_mask": mask}
        with torch.inference_mode():
            out = self.lm.model.base_model(input_ids=rows, position_ids=positions, past_key_values=self._cache, use_cache=True, **given)
        hidden: torch.Tensor = out.last_hidden_state[0]
        return hidden

    def _cut(self, length: int) -> None:
        if beyond := self._cache.get_seq_length() - length:
            self._cache.crop(-beyond)
        self._length = length


def _begins(ids: NDArray[np.int64], start: NDArray[np.int64]) -> bool:
    return len(start) <= len(ids) and bool((ids[: len(start)] == start).all())


def _groups(rests: Iterable[_Rest], at_once: int) -> Iterator[Sequence[_Rest]]:
    """The rests in their order, as many at once as a pass reads, and never none."""
    group, size = list[_Rest](), 0
    for rest in rests:
        if group and size + rest.size > at_once:
            yield group
            group, size = [], 0
        group.append(rest)
        size += rest.size
    if group:
        yield group


def reads_beside(lm: CausalLM) -> bool:
    """Whether a model reads texts side by side under a mask as it reads them one after another; found by trying.

    Attention by other kernels takes no mask, and a model that places tokens by its mask takes another one. GPT-Neo counts its windows in
    the cache, and they are longer than what is tried.
    """
    config = lm.model.config
    if getattr(config, "_attn_implementation", None) not in ("sdpa", "eager") or "local" in getattr(config, "attention_layers", ()):
        return False
    ids = np.arange(24) % lm.model.get_input_embeddings().num_embeddings
    texts = [Asked(np.concatenate([ids[:shared], ids[6::-1]]), shared, ids[:0], ids[:0]) for shared in (24, 9)]
    try:
        if (kept := KeptText.of(lm, ids, len(ids))) is None:
            return False
        beside, alone = ([*kept.asked_logprobs(texts, beside=one)] for one in (True, False))
    except (TypeError, ValueError, RuntimeError):  # models that take no places, or no mask of this form
        return False
    close = _CLOSE if lm.model.dtype == torch.float32 else _CLOSE_NARROW
    return all(np.allclose(one, other, rtol=0, atol=close) for one, other in zip(beside, alone, strict=True))
