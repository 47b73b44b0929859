"""What does not fit into memory together is read in smaller batches, at last alone, and gives the same scores."""

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lm_helpers import QUESTION, TRACE, scores, whole

from asap.errors import RowError
from asap.lm.memory import is_out_of_memory, within_memory
from asap.lm.scorer import LeaveOutRequest, ScoreRequest, leave_out_anew
from asap.lm.scorer_transformers import HFScorer
from asap.steps import split_steps
from own_process import fork

TOLERANCE = 1e-4  # nats, float32
REQUESTS = [whole(TRACE[start:]) for start in range(0, 480, 60)]
Folders = Callable[..., Path]


class Cramped:
    """Stands before a function of a model and raises what a full device raises, for more than so many tokens."""

    def __init__(self, inner: Callable[..., Any], most: int, error: Exception) -> None:
        self.inner, self.most, self.error, self.sizes = inner, most, error, list[int]()

    def __call__(self, *args: Any, **options: Any) -> Any:
        read = options["input_ids"].numel() if options.get("input_ids") is not None else len(args[0])
        self.sizes.append(read)
        if self.sizes[-1] > self.most:
            raise self.error
        return self.inner(*args, **options)


def batching(folder: Path, batch_tokens: int = 100_000) -> HFScorer:
    return HFScorer(str(folder), device="cpu", batch_tokens=batch_tokens)


def tokens_of(scorer: HFScorer, request: ScoreRequest) -> int:
    return scorer.tokens.count(request.text) - 1  # the last one is not read


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA error: out of memory"),
        MemoryError(),
    ],
    ids=["allocator", "cublas", "driver", "python"],
)
@pytest.mark.parametrize("place", ["body", "head"])
def test_a_batch_that_does_not_fit_is_halved_and_the_size_remembered(model_folder: Folders, error: Exception, place: str) -> None:
    alone, subject = HFScorer(str(model_folder("smol", "qwen2")), device="cpu"), batching(model_folder("smol", "qwen2"))
    longest = max(tokens_of(subject, request) for request in REQUESTS)
    if place == "body":
        cramped = subject.model.base_model.forward = Cramped(subject.model.base_model.forward, 3 * longest, error)
    else:
        assert subject.head
        cramped = Cramped(subject.head.scores, 2 * longest, error)
        subject.head = type("Head", (), {"scores": staticmethod(cramped)})()  # type: ignore[assignment]
    found = subject.score(REQUESTS)
    assert sum(size > cramped.most for size in cramped.sizes) < len(REQUESTS)
    for request, scored in zip(REQUESTS, found, strict=True):
        np.testing.assert_allclose(scored.spans[0].logprobs, scores(alone, request), rtol=0, atol=TOLERANCE)
    assert longest <= subject.batch_tokens <= 3 * longest
    failed = len([size for size in cramped.sizes if size > cramped.most])
    subject.score(REQUESTS)
    assert len([size for size in cramped.sizes if size > cramped.most]) == failed


@pytest.mark.parametrize("batch_tokens", [0, 100_000])
def test_only_what_does_not_fit_alone_is_refused(model_folder: Folders, batch_tokens: int) -> None:
    subject = batching(model_folder("smol", "qwen2"), batch_tokens)
    sizes = sorted(tokens_of(subject, request) for request in REQUESTS)
    full = torch.OutOfMemoryError("MPS backend out of memory")
    cramped = subject.model.base_model.forward = Cramped(subject.model.base_model.forward, sizes[-2], full)
    with pytest.raises(RowError, match=f"scoring {sizes[-1]:,} tokens did not fit into memory on cpu") as refused:
        subject.score(REQUESTS)
    assert refused.value.reason == "out_of_memory"
    assert cramped.sizes[-2:] == [sizes[-1]] * 2  # alone, and once more in an empty memory
    assert len(subject.score([request for request in REQUESTS if tokens_of(subject, request) < sizes[-1]])) == len(REQUESTS) - 1


def test_a_text_whose_kept_keys_and_values_do_not_fit_is_read_anew(model_folder: Folders) -> None:
    subject = HFScorer(str(model_folder("smol", "granite")), device="cpu")
    request = LeaveOutRequest(QUESTION, [TRACE[span.start : span.end] for span in split_steps(TRACE)[:3]])
    expected = leave_out_anew(subject.score, request)
    forward = subject.model.base_model.forward

    def without_cache(*args: Any, use_cache: bool, **options: Any) -> Any:
        if use_cache:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(*args, use_cache=False, **options)

    subject.model.base_model.forward = without_cache
    assert subject.leave_out(request) == expected


@pytest.mark.parametrize("error", [RuntimeError("CUDA error: device-side assert triggered"), ValueError("out of memory"), KeyError()])
def test_other_errors_are_raised(error: Exception) -> None:
    assert not is_out_of_memory(error)

    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        within_memory(fail)


def test_a_process_that_gets_no_more_memory_scores_all_rows(model_folder: Folders, tmp_path: Path) -> None:
    """The limit is real: the operating system refuses memory to torch's own allocator."""
    folder = model_folder("smol", "qwen2", vocab_size=1_000, intermediate_size=20_000)
    process = fork(score_with_little_memory, folder, tmp_path / "found.npy")
    process.join()
    assert process.exitcode == 0
    expected = np.concatenate([scores(HFScorer(str(folder), device="cpu"), request) for request in REQUESTS])
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), expected, rtol=0, atol=TOLERANCE)


def score_with_little_memory(folder: Path, found: Path) -> None:
    subject = batching(folder)
    scores(subject, REQUESTS[-1])
    longest = max(tokens_of(subject, request) for request in REQUESTS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 10 * 20_000 * 4 * longest  # some copies of what the widest layer makes of one text
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    np.save(found, np.concatenate([scored.spans[0].logprobs for scored in subject.score(REQUESTS)]))
    assert subject.batch_tokens < sum(tokens_of(subject, request) for request in REQUESTS)
