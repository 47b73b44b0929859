"""Any causal language model through transformers, on CPU, CUDA or MPS.

The transformer body runs once; the vocabulary projection and the log-softmax run in float32 and only on the wanted rows, in pieces,
so the full logits matrix never exists.
No code from a model repository is run.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asap.errors import RowError
from asap.lm.causal_lm import CausalLM
from asap.lm.hub import Dtype
from asap.lm.leave_out import leave_out
from asap.lm.linear_head import linear_scores, log_sum_and_mean
from asap.lm.scorer import LeaveOutRequest, LeftOut, Scored, ScoreRequest, leave_out_anew
from asap.lm.windows import Window, Windowed

_GPU_BATCH_TOKENS = 32_768


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
        laid = [Windowed.of(request, self.tokens, self.context_tokens) for request in requests]
        entropy = any(request.entropy for request in requests)
        scores = [np.full((sum(map(len, one.wanted)), 2), np.nan) for one in laid]
        jobs = [(number, window) for number, one in enumerate(laid) for window in one.windows]
        for batch in self._batches(jobs):
            for (number, window), values in zip(batch, self._run([window for _, window in batch], entropy), strict=True):
                scores[number][window.places] = values
        return [one.scored(values) for one, values in zip(laid, scores, strict=True)]

    def leave_out(self, request: LeaveOutRequest) -> LeftOut:
        """What remains of the request's text without each step."""
        return leave_out(self.causal_lm, request, self.context_tokens) or leave_out_anew(self.score, request)

    def _batches(self, jobs: list[tuple[int, Window]]) -> Iterator[list[tuple[int, Window]]]:
        """One job at a time, or jobs of similar length up to `batch_tokens` padded tokens."""
        batch: list[tuple[int, Window]] = []
        for job in sorted(jobs, key=lambda job: len(job[1].ids)):
            if batch and len(job[1].ids) * (len(batch) + 1) > self.batch_tokens:
                yield batch
                batch = []
            batch.append(job)
        if batch:
            yield batch

    def _run(self, windows: list[Window], entropy: bool) -> Iterator[NDArray[np.float64]]:
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


def _reload(name: str, spec: str | None, dtype: Dtype, device: str, context_tokens: int | None, batch_tokens: int | None) -> HFScorer:
    return HFScorer(name, spec=spec, dtype=dtype, device=device, context_tokens=context_tokens, batch_tokens=batch_tokens)
