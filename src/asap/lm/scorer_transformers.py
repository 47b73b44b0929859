"""Any causal language model through transformers, on CPU, CUDA or MPS.

A text is tokenised once, with character offsets; the transformer body runs once; the vocabulary projection and the
log-softmax run in float32 and only on the wanted rows, in pieces, so the full logits matrix never exists.
Texts longer than the model's context are scored in overlapping windows. No code from a model repository is run.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asap.errors import RowError
from asap.lm.causal_lm import CausalLM
from asap.lm.hub import Dtype
from asap.lm.leave_out import leave_out
from asap.lm.linear_head import linear_scores, log_sum_and_mean
from asap.lm.scorer import LeaveOutRequest, LeftOut, Scored, ScoreRequest, TokenScores, leave_out_anew
from asap.lm.tokens import Encoded
from asap.lm.word_cache import by_words

_GPU_BATCH_TOKENS = 32_768


class _Window(NamedTuple):
    """One run of the body: its input ids, and for each wanted target the row that predicts it and its place in the result."""

    ids: NDArray[np.int64]
    rows: NDArray[np.int64]
    targets: NDArray[np.int64]
    places: NDArray[np.int64]


class _Plan(NamedTuple):
    """A request, tokenised: which tokens of the text each span wants, and the windows that give them."""

    encoded: Encoded
    wanted: list[NDArray[np.int64]]
    windows: list[_Window]
    num_windows: int


class HFScorer:
    """Scores with a causal LM. On CPU a request is always run alone; on a GPU requests of similar length share a batch."""

    def __init__(
        self,
        name: str,
        *,
        spec: str | None = None,
        dtype: Dtype = "auto",
        device: str = "auto",
        context_tokens: int | None = None,
        batch_tokens: int | None = None,
    ) -> None:
        self.causal_lm = CausalLM(name, spec=spec, dtype=dtype, device=device)
        self.device, self.tokens, self.identity = self.causal_lm.device, self.causal_lm.tokens, self.causal_lm.identity
        self.dtype, self.model, self.head_is_linear = self.causal_lm.dtype, self.causal_lm.model, self.causal_lm.head_is_linear
        self.context_tokens = context_tokens or self.causal_lm.context_tokens
        self.batch_tokens = batch_tokens if batch_tokens is not None else (0 if self.device.type == "cpu" else _GPU_BATCH_TOKENS)
        self._arguments = (name, spec, dtype, device, context_tokens, batch_tokens)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by name, so that it can travel to worker processes cheaply."""
        return _reload, self._arguments

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """The scores of each request, in order."""
        plans = [self._plan(request) for request in requests]
        entropy = any(request.entropy for request in requests)
        scores = [np.full((sum(map(len, plan.wanted)), 2), np.nan) for plan in plans]
        jobs = [(number, window) for number, plan in enumerate(plans) for window in plan.windows]
        for batch in self._batches(jobs):
            for (number, window), values in zip(batch, self._run([window for _, window in batch], entropy), strict=True):
                scores[number][window.places] = values
        return [_assemble(plan, values) for plan, values in zip(plans, scores, strict=True)]

    def leave_out(self, request: LeaveOutRequest) -> LeftOut:
        """What remains of the request's text without each step."""
        return leave_out(self.causal_lm, request, self.context_tokens) or leave_out_anew(self.score, request)

    def _plan(self, request: ScoreRequest) -> _Plan:
        """Tokenise a request once and lay its windows; a text token with nothing before it keeps the score NaN."""
        full = by_words(self.tokens).encode(request.context + request.text)
        offset = len(request.context)
        first = int(np.searchsorted(full.ends, offset, side="right"))  # the first token that reaches into the text
        text = Encoded(full.ids[first:], full.starts[first:] - offset, full.ends[first:] - offset)
        bos = self.tokens.bos_id
        prefix = full.ids[:first]
        if bos is not None and full.ids[:1].tolist() != [bos]:
            prefix = np.concatenate([[bos], prefix])
        wanted = [_tokens_of(text, start, end, request.depth) for start, end in request.spans]
        windows = list(
            _lay_windows(prefix, text.ids, np.concatenate([*wanted, np.empty(0, np.int64)]).astype(np.int64), self.context_tokens)
        )
        return _Plan(text, wanted, windows, max(1, len(windows)))

    def _batches(self, jobs: list[tuple[int, _Window]]) -> Iterator[list[tuple[int, _Window]]]:
        """One job at a time, or jobs of similar length up to `batch_tokens` padded tokens."""
        batch: list[tuple[int, _Window]] = []
        for job in sorted(jobs, key=lambda job: len(job[1].ids)):
            if batch and len(job[1].ids) * (len(batch) + 1) > self.batch_tokens:
                yield batch
                batch = []
            batch.append(job)
        if batch:
            yield batch

    def _run(self, windows: list[_Window], entropy: bool) -> Iterator[NDArray[np.float64]]:
        """Log-probability and entropy (NaN without `entropy`) of the wanted targets of each window: [targets, 2].

        Pads on the right, where causal rows never look.
        """
        longest = max(len(window.ids) for window in windows)
        ids = torch.zeros((len(windows), longest), dtype=torch.long)
        for row, window in enumerate(windows):
            ids[row, : len(window.ids)] = torch.from_numpy(window.ids)
        batch_index = torch.cat([torch.full((len(window.rows),), row) for row, window in enumerate(windows)])
        row_index = torch.from_numpy(np.concatenate([window.rows for window in windows]))
        targets = torch.from_numpy(np.concatenate([window.targets for window in windows])).to(self.device)
        try:
            with torch.inference_mode():
                values = self._scores(ids.to(self.device), batch_index.to(self.device), row_index.to(self.device), targets, entropy)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise RowError("out_of_memory", f"scoring {ids.numel():,} tokens did not fit into memory on {self.device}") from error
        except RuntimeError as error:  # the CPU allocator reports a failed allocation this way
            if "not enough memory" not in str(error) and "can't allocate" not in str(error):
                raise
            raise RowError("out_of_memory", f"scoring {ids.numel():,} tokens did not fit into memory on {self.device}") from error
        return iter(np.split(values.cpu().double().numpy(), np.cumsum([len(window.rows) for window in windows])[:-1]))

    def _scores(self, ids: Tensor, batch_index: Tensor, row_index: Tensor, targets: Tensor, entropy: bool) -> Tensor:
        if self.head_is_linear:
            hidden = self.model.base_model(input_ids=ids, use_cache=False).last_hidden_state[batch_index, row_index]
            return linear_scores(hidden, self.causal_lm.head.weight, self.causal_lm.head.bias, targets, entropy=entropy)
        positions, inverse = torch.unique(row_index, return_inverse=True)
        logits = self.model(input_ids=ids, use_cache=False, logits_to_keep=positions).logits[batch_index, inverse]
        logprobs = torch.log_softmax(logits.float(), dim=-1)
        entropies = -log_sum_and_mean(logprobs, entropy)[1]  # of log-probabilities the log of the sum is zero
        return torch.stack([logprobs.gather(1, targets[:, None]).squeeze(1), entropies], dim=1)


def _tokens_of(text: Encoded, start: int, end: int, depth: int | None) -> NDArray[np.int64]:
    """Indices of the tokens that overlap [start, end), the first `depth` of them."""
    first = int(np.searchsorted(text.ends, start, side="right"))
    last = int(np.searchsorted(text.starts, end, side="left"))
    return np.arange(first, last if depth is None else min(last, first + depth))


def _lay_windows(prefix: NDArray[np.int64], text: NDArray[np.int64], wanted: NDArray[np.int64], limit: int) -> Iterator[_Window]:
    """The windows that hold every wanted token: the prefix, then a stretch of the text.

    The first window starts at the text's first token; each later one starts half a stretch further on and gives the scores of
    its second half, so a token always sees at least half a stretch before it. A prefix over half the context keeps its first
    token, the BOS that models lean on, and its end.
    """
    if len(prefix) > limit // 2:
        prefix = np.concatenate([prefix[:1], prefix[len(prefix) - limit // 2 + 1 :]])
    stretch = limit - len(prefix) + 1  # the last target of a window is predicted, not read
    half = max(1, stretch // 2)
    number = np.where(wanted < stretch, 0, (wanted - stretch) // half + 1)
    for window in np.unique(number):
        places = np.flatnonzero(number == window)
        start = int(window) * half
        targets = wanted[places]
        ids = np.concatenate([prefix, text[start : int(targets.max())]])
        rows = targets - start + len(prefix) - 1
        predictable = rows >= 0  # without BOS and context, nothing predicts the very first token
        if predictable.any():
            yield _Window(ids, rows[predictable], text[targets[predictable]], places[predictable])


def _assemble(plan: _Plan, values: NDArray[np.float64]) -> Scored:
    pieces = np.split(values, np.cumsum([len(span) for span in plan.wanted])[:-1]) if plan.wanted else []
    scores = [
        TokenScores(plan.encoded.starts[span], plan.encoded.ends[span], piece[:, 0], piece[:, 1])
        for span, piece in zip(plan.wanted, pieces, strict=True)
    ]
    return Scored(scores, plan.num_windows)


def _reload(name: str, spec: str | None, dtype: Dtype, device: str, context_tokens: int | None, batch_tokens: int | None) -> HFScorer:
    return HFScorer(name, spec=spec, dtype=dtype, device=device, context_tokens=context_tokens, batch_tokens=batch_tokens)
