"""Any causal language model through transformers, on CPU, CUDA or MPS.

The transformer body runs once; the vocabulary projection and the log-softmax give float32 and run only on the wanted rows, in pieces,
so the full logits matrix never exists. What does not fit into memory is read in smaller batches, at last alone.
No code from a model repository is run.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asap.errors import RowError
from asap.lm.causal_lm import CausalLM
from asap.lm.hub import Dtype
from asap.lm.kept import reads_beside
from asap.lm.leave_out import leave_out
from asap.lm.memory import within_memory
from asap.lm.prefixes import prefixes
from asap.lm.scorer import LeaveOutRequest, LeftOut, PrefixRequest, Scored, ScoreRequest, leave_out_anew, prefixes_anew
from asap.lm.vocabulary_head import log_sum_and_mean
from asap.lm.windows import Window, Windowed

_GPU_BATCH_TOKENS = 16_384  # with 128 rows at once 4 % of it is padding, of twice as much 9 %
_QUICK_PARAMETERS = 1_000_000_000  # by calculation: starting the kernels of a pass takes as long as reading 1,500 tokens with so many
_OWN_HEAD_ROWS = 512


class _Job(NamedTuple):
    """A window of the request with this number."""

    number: int
    window: Window
    entropy: bool


class HFScorer:
    """Scores with a causal LM. On CPU a request is always run alone; on a GPU requests of similar length share a batch."""

    gives_entropies = True

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
        self.dtype, self.model, self.head = self.causal_lm.dtype, self.causal_lm.model, self.causal_lm.head
        self.context_tokens = context_tokens or self.causal_lm.context_tokens
        self.batch_tokens = batch_tokens if batch_tokens is not None else (0 if self.device.type == "cpu" else _GPU_BATCH_TOKENS)
        self._arguments = (name, spec, dtype, device, context_tokens, batch_tokens)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by name, so that it can travel to worker processes cheaply."""
        return _reload, self._arguments

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """The scores of each request, in order. Raises RowError where a window of one does not fit into memory even alone."""
        laid = [Windowed.of(request, self.tokens, self.context_tokens) for request in requests]
        scores = [np.full((len(one.wanted), 2), np.nan) for one in laid]
        jobs = [_Job(number, window, requests[number].entropy) for number, one in enumerate(laid) for window in one.windows]
        done = list(self._read(jobs))  # a GPU is given all of its work before the first result is waited for
        for batch, values in done:
            ends = np.cumsum([len(job.window.rows) for job in batch])
            for job, part in zip(batch, np.split(values.cpu().double().numpy(), ends[:-1]), strict=True):
                scores[job.number][job.window.places] = part
        return [one.scored(values) for one, values in zip(laid, scores, strict=True)]

    def leave_out(self, request: LeaveOutRequest) -> LeftOut:
        """What remains of the request's text without each step."""
        if self._quick and request.suffix_tokens is None:
            return leave_out_anew(self.score, request)
        kept = within_memory(lambda: leave_out(self.causal_lm, request, self.context_tokens, beside=self._reads_beside))
        return kept or leave_out_anew(self.score, request)

    def prefixes(self, request: PrefixRequest) -> Scored:
        """The scores of the request's tail behind each prefix."""
        if self._quick and not self._reads_beside:
            return prefixes_anew(self.score, request)
        kept = within_memory(lambda: prefixes(self.causal_lm, request, self.context_tokens, beside=self._reads_beside))
        return kept or prefixes_anew(self.score, request)

    @cached_property
    def _reads_beside(self) -> bool:
        """Whether the rests of many texts can be read in one pass."""
        return reads_beside(self.causal_lm)

    @property
    def _quick(self) -> bool:
        """Whether many whole texts in one batch are read sooner than the rests of these texts one after another: a small model on a GPU."""
        return self.device.type == "cuda" and self.model.num_parameters() < _QUICK_PARAMETERS

    def _read(self, jobs: Sequence[_Job]) -> Iterator[tuple[Sequence[_Job], Tensor]]:
        """Batches of jobs, the longest first, and the values of their wanted targets.

        A batch that does not fit into memory is halved, and so is `batch_tokens` from then on.
        """
        waiting = sorted(jobs, key=lambda job: (job.entropy, -len(job.window.ids)))
        while waiting:
            batch = self._next_batch(waiting)
            values = within_memory(partial(self._values, batch))
            if values is None and len(batch) > 1:
                self.batch_tokens = len(batch[0].window.ids) * len(batch) // 2
                continue
            if values is None:  # once more, now that nothing else is in the memory
                values = within_memory(partial(self._values, batch))
            if values is None:
                tokens = len(batch[0].window.ids)
                raise RowError("out_of_memory", f"scoring {tokens:,} tokens did not fit into memory on {self.device}")
            yield batch, values
            waiting = waiting[len(batch) :]

    def _next_batch(self, waiting: Sequence[_Job]) -> Sequence[_Job]:
        """The first job, and those after it that may share its batch: up to `batch_tokens` padded tokens, which rotate all texts alike."""
        longest = max(1, len(waiting[0].window.ids))
        room = 1 if self.head is None else max(1, self.batch_tokens // longest)
        least = self.causal_lm.rotates_alike if longest > self.causal_lm.rotates_alike else -1
        return [job for job in waiting[:room] if job.entropy == waiting[0].entropy and len(job.window.ids) > least]

    @torch.inference_mode()
    def _values(self, batch: Sequence[_Job]) -> Tensor:
        """Log-probability and entropy (NaN where not asked for) of the wanted targets of all jobs: [targets, 2].

        Pads on the right, where causal rows never look.
        """
        windows = [job.window for job in batch]
        ids = np.zeros((len(windows), max(len(window.ids) for window in windows)), np.int64)
        for row, window in enumerate(windows):
            ids[row, : len(window.ids)] = window.ids
        read = self._on_device(ids)
        rows = self._on_device(np.concatenate([window.rows for window in windows]))
        targets = self._on_device(np.concatenate([window.targets for window in windows]))
        if self.head is None:
            return self._own_head(read, rows, targets, batch[0].entropy)
        texts = self._on_device(np.repeat(np.arange(len(windows)), [len(window.rows) for window in windows]))
        hidden = self.model.base_model(input_ids=read, use_cache=False).last_hidden_state[texts, rows]
        return self.head.scores(hidden, targets, entropy=batch[0].entropy)

    def _own_head(self, ids: Tensor, rows: Tensor, targets: Tensor, entropy: bool) -> Tensor:
        """The same of one text by the model's own head, which gives logits only together with the body: it reads the text anew for
        each piece of rows.
        """
        found = list[Tensor]()
        for part, wanted in zip(torch.split(rows, _OWN_HEAD_ROWS), torch.split(targets, _OWN_HEAD_ROWS), strict=True):
            logits = self.model(input_ids=ids, use_cache=False, logits_to_keep=part).logits[0].float()
            chosen = logits.gather(1, wanted[:, None]).squeeze(1)
            log_sum, mean = log_sum_and_mean(logits, entropy)
            found.append(torch.stack([chosen - log_sum, log_sum - mean], dim=1))
        return torch.cat(found)

    def _on_device(self, values: NDArray[np.int64]) -> Tensor:
        """The values there; a CUDA device copies from pinned memory and need not be waited for."""
        tensor = torch.from_numpy(values)
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else tensor.to(self.device)


def _reload(name: str, spec: str | None, dtype: Dtype, device: str, context_tokens: int | None, batch_tokens: int | None) -> HFScorer:
    return HFScorer(name, spec=spec, dtype=dtype, device=device, context_tokens=context_tokens, batch_tokens=batch_tokens)
