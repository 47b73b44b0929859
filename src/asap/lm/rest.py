"""How likely the rest of a text is once one of its steps is gone, for each step: SPIRIT's question, and leave-one-out's.

Each step taken out is a text of its own. All of them share what stands before the gap with the whole text, so that part is
read once: its keys and values are kept, and only what follows the gap is read again, from the last gap to the first. That
is about half of the work of reading each text anew, and gives the same numbers up to rounding.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.cache_utils import DynamicCache, DynamicLayer

from asap.lm.scorer import Scorer, ScoreRequest
from asap.steps import SEPARATOR, Span

if TYPE_CHECKING:
    from asap.lm.scorer_transformers import HFScorer


class Rest(NamedTuple):
    """The summed surprisal, in nats, of the tokens that were asked about, and how many they are."""

    nll: float
    tokens: int

    @property
    def mean(self) -> float:
        """Nats per token; 0 where no token is left."""
        return self.nll / self.tokens if self.tokens else 0.0


class RestRequest(NamedTuple):
    """The steps of a text that follows `context`, joined with blank lines, and a `tail` behind them.

    With a tail only its tokens are asked about, else those of all steps that are left. `lead` stands between the steps and the
    tail; it is read, and not asked about.
    """

    context: str
    steps: Sequence[str]
    tail: str = ""
    lead: str = ""

    def text(self, without: int | None = None) -> str:
        """The text, or the text without one step."""
        return SEPARATOR.join(step for index, step in enumerate(self.steps) if index != without) + self.lead + self.tail


def rest_of(scorer: Scorer, request: RestRequest, suffix_tokens: int | None = None) -> tuple[Rest, list[Rest]]:
    """The rest with all steps, and without each of them.

    `suffix_tokens`: read only so many tokens behind a gap again, and take the others as they are in the whole text; not with
    a tail. Texts longer than the scorer's context are read anew for each step, in windows.
    """
    from asap.lm.scorer_transformers import HFScorer

    if isinstance(scorer, HFScorer):
        reader = _Reader(scorer, request)
        if reader.fits:
            return reader.whole(), reader.without_each(None if request.tail else suffix_tokens)
    return rest_anew(scorer, request)


def rest_anew(scorer: Scorer, request: RestRequest) -> tuple[Rest, list[Rest]]:
    """The same, the plain way: each text is read from its beginning."""
    texts = [request.text(), *(request.text(without) for without in range(len(request.steps)))]
    requests = [ScoreRequest(request.context, text, [_asked(request, text)]) for text in texts]
    scored = [scorer.score([one])[0].spans[0].logprobs for one in requests]
    whole, *without = [Rest(-float(np.nansum(logprobs)), int(np.isfinite(logprobs).sum())) for logprobs in scored]
    return whole, without


def _asked(request: RestRequest, text: str) -> Span:
    return Span(len(text) - len(request.tail) if request.tail else 0, len(text))


class _Reader:
    """One text read by a transformers model that keeps the keys and values of what it read."""

    def __init__(self, scorer: "HFScorer", request: RestRequest) -> None:
        self.scorer, self.request = scorer, request
        self.ids, self.asked = self._tokens(request.text())
        self.fits = len(self.ids) <= scorer.context_tokens and scorer.head_is_linear
        if self.fits:
            self._read_all()
            # A cache that forgets, or a state that cannot be cut back, would not give the numbers of a text read anew.
            self.fits = all(type(layer) is DynamicLayer for layer in self._cache.layers)

    def _tokens(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The tokens of context and text, and which of them are asked about."""
        tokens, context = self.scorer.tokens, self.request.context
        encoded = tokens.encode(context + text)
        start = len(context) + _asked(self.request, text).start
        asked = encoded.ends > start
        ids = encoded.ids
        if tokens.bos_id is not None and ids[:1].tolist() != [tokens.bos_id]:
            ids, asked = np.concatenate([[tokens.bos_id], ids]), np.concatenate([[False], asked])
        if len(asked):
            asked[0] = False  # nothing predicts the very first token
        return ids, asked

    def _read_all(self) -> None:
        self._cache = DynamicCache(config=self.scorer.model.config)
        self._hidden = self._read(self.ids, 0)
        self._nll = np.zeros(len(self.ids))
        places = np.flatnonzero(self.asked)
        self._nll[places] = self._surprisals(self._hidden[places - 1], self.ids[places])
        self._cached = len(self.ids)

    def _read(self, ids: NDArray[np.int64], before: int) -> torch.Tensor:
        """The last hidden states of the tokens after the first `before`, whose keys and values are in the cache."""
        with torch.inference_mode():
            rows = torch.from_numpy(ids[before:])[None].to(self.scorer.device)
            places = torch.arange(before, len(ids), device=self.scorer.device)[None]
            out = self.scorer.model.base_model(input_ids=rows, position_ids=places, past_key_values=self._cache, use_cache=True)
        hidden: torch.Tensor = out.last_hidden_state[0]
        return hidden

    def _cut_cache(self, length: int) -> None:
        if beyond := self._cache.get_seq_length() - length:
            self._cache.crop(-beyond)

    def _surprisals(self, hidden: torch.Tensor, targets: NDArray[np.int64]) -> NDArray[np.float64]:
        return -self.scorer.logprobs_of(hidden, torch.from_numpy(targets).to(self.scorer.device)) if len(targets) else np.zeros(0)

    def whole(self) -> Rest:
        """The rest with all steps."""
        return Rest(float(self._nll[self.asked].sum()), int(self.asked.sum()))

    def without_each(self, suffix_tokens: int | None) -> list[Rest]:
        """The rest without each step. From the last to the first: what is needed of the cache only grows shorter."""
        found = [self._without(index, suffix_tokens) for index in reversed(range(len(self.request.steps)))]
        return found[::-1]

    def _without(self, index: int, suffix_tokens: int | None) -> Rest:
        ids, asked = self._tokens(self.request.text(index))
        shorter = min(len(ids), len(self.ids))
        differs = np.flatnonzero(ids[:shorter] != self.ids[:shorter])
        same = min(int(differs[0]) if len(differs) else shorter, self._cached)
        if self.request.tail:  # its surprisals in the whole text are no help: the tail may have moved to the front
            same = min(same, int(asked.argmax()))
        before = float(self._nll[:same][asked[:same]].sum())
        if same >= len(ids):
            return Rest(before, int(asked.sum()))
        stop = len(ids) if suffix_tokens is None else min(len(ids), same + suffix_tokens)
        self._cut_cache(same)
        read = self._read(ids[:stop], same)
        hidden = torch.cat([self._hidden[same - 1 : same] if same else read[:1], read[:-1]])  # a very first token is not asked about
        places = same + np.flatnonzero(asked[same:stop])
        behind = float(self._surprisals(hidden[places - same], ids[places]).sum())
        self._cut_cache(same)
        self._cached = same
        unread = len(ids) - stop  # these stand at the end of the whole text too, with about the same surprisal
        return Rest(before + behind + float(self._nll[len(self.ids) - unread :].sum() if unread else 0.0), int(asked.sum()))
