"""G2: how fast the scorer reads on a GPU, with random weights of real shapes and rows of real lengths.

Run `python benchmarks/gpu/g2_throughput.py` there; `--device cpu --shapes tiny --shorten 8 --seconds 120` rehearses it. Parts, the most
wanted first: rate (the whole of `asap prune` but reading and writing), attention (with cuDNN's kernels and without), first_token (beside
the paper's scripts' way), head, fused (its sums in one pass; needs Triton and a C compiler), batches, memory, order, busy.
Goals on one H100: 200,000 read tokens a second with 0.5B, 25,000 with 7B, 90 % of the time in the body, 10x the paper's scripts' way
with 0.5B.
"""

import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench import Bench, TimedScorer, little_memory, made_samples, parser_of, peak_mib, random_scorer, reset_peak, synchronize

from asap.errors import RowError
from asap.lm import vocabulary_head
from asap.lm.prompt_style import default_context
from asap.lm.scorer import ScoreRequest
from asap.prune.asap import Asap
from asap.prune.settings import AsapSettings
from asap.prune.trace import Trace
from asap.sample import Sample
from asap.workers.local import rows_at_once

GOALS = {"0.5B": 200_000, "7B": 25_000}
Found = Iterator[dict[str, Any]]


def main() -> None:
    """Run all parts with each shape, until the time is up."""
    parser = parser_of(__doc__, out="g2.jsonl")
    parser.add_argument("--shapes", nargs="+", default=["0.5B", "7B"], help="0.5B, 7B, tiny")
    parser.add_argument("--shorten", type=int, default=1, help="divide all lengths, for a rehearsal")
    parser.add_argument("--rate-seconds", type=float, default=30, help="for the part rate, with each shape (default %(default)s)")
    parser.add_argument("--dtype", choices=["auto", "float32", "bfloat16"], default="auto")
    args = parser.parse_args()
    bench = Bench(args)
    with tempfile.TemporaryDirectory() as folder:
        for shape in args.shapes:
            started = time.perf_counter()
            scorer = random_scorer(shape, Path(folder) / shape, args.device, kind=TimedScorer, dtype=args.dtype)
            bench.put("model", shape=shape, load_s=time.perf_counter() - started, dtype=scorer.identity["dtype"], narrow=is_narrow(scorer))
            Measured(bench, shape, scorer, args.shorten, args.rate_seconds).run(args.parts)
            del scorer


def is_narrow(scorer: TimedScorer) -> bool | None:
    """Whether the head multiplies in bfloat16 and adds up in float32."""
    head = scorer.causal_lm.head
    return head and head.multiplies_narrow


class Measured:
    """All parts with one model."""

    def __init__(self, bench: Bench, shape: str, scorer: TimedScorer, shorten: int, rate_seconds: float) -> None:
        self.bench, self.shape, self.scorer, self.shorten, self.rate_seconds = bench, shape, scorer, shorten, rate_seconds
        self.device = scorer.device

    def run(self, wanted: Sequence[str]) -> None:
        """Run the wanted parts."""
        names = ("rate", "attention", "first_token", "head", "fused", "batches", "memory", "order", "busy")
        parts: dict[str, Callable[[], Found]] = {name: getattr(self, name) for name in names}
        self.bench.run(parts, wanted)

    def samples(self, count: int | None = None) -> Iterator[Sample]:
        """Rows of real lengths."""
        return made_samples(count, shorten=self.shorten)

    def requests(self, count: int, *, deep: bool) -> list[ScoreRequest]:
        """The plain readings of some rows: every token with entropies, or the first token of each step."""
        return [self.request_of(sample, deep) for sample in self.samples(count)]

    def request_of(self, sample: Sample, deep: bool) -> ScoreRequest:
        """The plain reading of a row."""
        tokens = self.scorer.tokens
        trace = Trace.of(sample, "fenced", default_context(tokens), self.scorer, tokens, 0)
        request = trace.steps(range(len(trace.spans))).request
        return request if deep else request._replace(depth=1, entropy=False)

    def timed(self, work: Callable[[], Any]) -> dict[str, Any]:
        """What a piece of work took: wall seconds, the device's seconds in body and head, tokens, memory."""
        scorer = self.scorer
        synchronize(self.device)
        reset_peak(self.device)
        scorer.reset()
        started = time.perf_counter()
        work()
        synchronize(self.device)
        wall = time.perf_counter() - started
        body, head = scorer.watch.seconds("body"), scorer.watch.seconds("head")
        return {
            "shape": self.shape,
            "wall_s": round(wall, 3),
            "read_tokens": scorer.read,
            "read_tokens_per_s": round(scorer.read / wall),
            "padding": round(1 - scorer.read / max(1, scorer.padded), 3),
            "wanted": round(scorer.wanted / max(1, scorer.read), 3),
            "body_s": round(body, 3),
            "head_s": round(head, 3),
            "body_share": round(body / wall, 3),
            "outside_share": round(1 - (body + head) / wall, 3),
            "batch_tokens": scorer.batch_tokens,
            "peak_mib": peak_mib(self.device),
        }

    def rate(self) -> Found:
        """Decisions about whole rows: tokenising, three readings, cutting; without reading and writing files."""
        goal = GOALS.get(self.shape)
        for name, settings in {"default": AsapSettings(), "scores own, coarse none": AsapSettings(scores="own", coarse="none")}.items():
            pruner = Asap(self.scorer, settings)
            size = max(8, rows_at_once(pruner))
            rows = self.samples()
            pruner.decide(list(islice(rows, 4)))  # to warm up
            done = list[Any]()
            seconds = self.rate_seconds / (1 if name == "default" else 3)
            found = self.timed(partial(decide_for, seconds, pruner, rows, size, done))
            right = [one for one in done if not isinstance(one, RowError)]
            counts = {"rows": len(done), "rejected": len(done) - len(right)}
            rate = round(sum(one.tokens_before for one in right) / found["wall_s"])
            yield {"settings": name, **counts, "trace_tokens_per_s": rate, **found, "goal": goal}

    def attention(self) -> Found:
        """The same rows with cuDNN's attention, which plans anew for each shape, and without; each twice, as shapes are known then."""
        requests = self.requests(128, deep=True)
        try:
            for cudnn in (False, True, False, True):
                torch.backends.cuda.enable_cudnn_sdp(cudnn)
                yield {"cudnn": cudnn, **self.timed(lambda: self.scorer.score(requests))}
        finally:
            torch.backends.cuda.enable_cudnn_sdp(False)

    def first_token(self) -> Found:
        """The first token of each step: ours, and the paper's scripts' way (all logits, prefixes tokenised again)."""
        requests = self.requests(32, deep=False)
        self.scorer.score(requests[:2])
        found = self.timed(lambda: self.scorer.score(requests))
        yield {"way": "asap", **found}
        naive_scores(self.scorer, requests[0])
        read, errors = 0, 0
        reset_peak(self.device)
        started = time.perf_counter()
        for request in requests:
            try:
                read += naive_scores(self.scorer, request)
            except torch.OutOfMemoryError:
                errors += 1
            if time.perf_counter() - started > self.rate_seconds:
                break
        synchronize(self.device)
        rate = read / (time.perf_counter() - started)
        ratio = round(found["read_tokens_per_s"] / rate, 2)
        peak = peak_mib(self.device)
        yield {"way": "naive", "shape": self.shape, "read_tokens_per_s": round(rate), "ratio": ratio, "failed": errors, "peak_mib": peak}

    def head(self) -> Found:
        """The head alone on random hidden states: precision, pieces, ways to sum; differences from float64 on some rows."""
        head, hidden, targets = self.head_input()
        logits = hidden[:64].double().cpu() @ head.weight.detach().double().cpu().T
        exact = torch.log_softmax(logits, -1).gather(1, targets[:64, None].cpu())[:, 0]
        ways: dict[str, dict[str, Any]] = {
            "as it is": {},
            "eager": {"sums": vocabulary_head.eager_log_sum_and_mean},
            "with entropies": {"entropy": True},
            "float32": {"narrow": False},
            "TF32": {"narrow": False, "tf32": True},
            **{f"pieces {words} x {rows}": {"piece": (words, rows)} for words in (8_192, 32_768) for rows in (512, 8_192)},
            "sums by log_softmax": {"sums": by_log_softmax},
            "with entropies, sums by softmax": {"sums": by_softmax, "entropy": True},
        }
        for name, way in ways.items():
            seconds, scores = timed_head(head, hidden, targets, **way)
            error = float((scores[:64, 0].double().cpu() - exact).abs().max())
            rate = round(len(hidden) / seconds)
            yield {"shape": self.shape, "way": name, "rows": len(hidden), "s": round(seconds, 5), "rows_per_s": rate, "error": error}

    def head_input(self) -> tuple[Any, torch.Tensor, torch.Tensor]:
        """The head, random last hidden states and random targets."""
        head = self.scorer.causal_lm.head
        assert head
        torch.manual_seed(3)
        rows = 8_192 // self.shorten
        hidden = torch.randn(rows, head.weight.shape[1], device=self.device).to(head.weight.dtype) * 4
        return head, hidden, torch.randint(head.weight.shape[0], (rows,), device=self.device)

    def fused(self) -> Found:
        """The head's sums in one pass over the logits: a kernel of our own in Triton, and torch.compile. Both need a C compiler."""
        in_one_pass = import_module("asap.lm.triton_sums").sums_in_one_pass  # needs Triton
        head, hidden, targets = self.head_input()
        expected = head.scores(hidden, targets, entropy=True)
        ways = {
            "Triton": lambda logits, _: in_one_pass(logits),
            "compiled": torch.compile(vocabulary_head.eager_log_sum_and_mean, dynamic=False),
            "eager": vocabulary_head.eager_log_sum_and_mean,
        }
        for (name, sums), entropy in itertools.product(ways.items(), (True, False)):
            found = {"shape": self.shape, "way": name, "entropies": entropy, "rows": len(hidden)}
            try:
                seconds, scores = timed_head(head, hidden, targets, sums=sums, entropy=entropy)
            except Exception as error:  # border: what compiles has errors of every type, and the next way may still work
                yield {**found, "error": f"{type(error).__name__}: {error}"[:500]}
                continue
            difference = (scores - expected).abs().amax(0)[: 1 + entropy].tolist()
            yield {**found, "s": round(seconds, 5), "differences": difference}

    def batches(self) -> Found:
        """How much a batch should hold."""
        requests, before = self.requests(128, deep=True), self.scorer.batch_tokens
        try:
            for tokens in (0, 8_192, 16_384, 32_768, 65_536, 131_072, 262_144):
                if self.bench.left_s <= 0:
                    return
                self.scorer.batch_tokens = tokens // self.shorten
                yield {"wanted_batch_tokens": tokens // self.shorten, **self.timed(lambda: self.scorer.score(requests))}
        finally:
            self.scorer.batch_tokens = before

    def memory(self) -> Found:
        """Batches that do not fit: all rows are scored, as they are otherwise."""
        requests, before = self.requests(32, deep=True), self.scorer.batch_tokens
        expected = logprobs(self.scorer, requests)
        longest = max(self.scorer.tokens.count(request.context + request.text) for request in requests)
        self.scorer.batch_tokens = 1 << 20
        try:
            with little_memory(self.scorer, 2 * longest) as limit:
                found = self.timed(lambda: self.scorer.score(requests))
                difference = float(np.abs(logprobs(self.scorer, requests) - expected).max())
            yield {"limit": limit, "halved": found["batch_tokens"] < 1 << 20, "difference": difference, **found}
        finally:
            self.scorer.batch_tokens = before

    def order(self) -> Found:
        """The same requests in another order and in other batches."""
        requests, before = self.requests(24, deep=True), self.scorer.batch_tokens
        parts = [logprobs(self.scorer, [one]) for one in requests]
        for tokens in (0, 4_096, before):
            self.scorer.batch_tokens = tokens
            order = random.Random(tokens).sample(range(len(requests)), len(requests))
            scored = self.scorer.score([requests[place] for place in order])
            again = [np.concatenate([span.logprobs for span in one.spans]) for one in scored]
            difference = np.concatenate([np.abs(parts[place] - one) for place, one in zip(order, again, strict=True)])
            worst = {"largest": float(np.nanmax(difference)), "mean": float(np.nanmean(difference))}
            yield {"shape": self.shape, "wanted_batch_tokens": tokens, "nats": worst, "equal": float(np.mean(difference == 0))}
        self.scorer.batch_tokens = before

    def busy(self) -> Found:
        """The share of the time in which the device had a kernel to run, by torch's profiler, of one batch of rows."""
        pruner, rows = Asap(self.scorer, AsapSettings()), list(self.samples(32))
        kind = torch.profiler.ProfilerActivity
        with torch.profiler.profile(activities=[kind.CUDA if self.device.type == "cuda" else kind.CPU]) as profile:
            found = self.timed(lambda: pruner.decide(rows))
        times = {one.key[:80]: getattr(one, "self_device_time_total", 0) / 1e6 for one in profile.key_averages()}
        slowest = dict(sorted(times.items(), key=lambda one: -one[1])[:12])
        kernels = sum(times.values())
        yield {**found, "kernels_s": round(kernels, 3), "busy_share": round(kernels / found["wall_s"], 3), "slowest": slowest}


def decide_for(seconds: float, pruner: Asap, rows: Iterator[Sample], size: int, done: list[Any]) -> None:
    """Decide about batches of rows until the time is up."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until and (batch := list(islice(rows, size))):
        done.extend(pruner.decide(batch))


def timed_head(
    head: Any,
    hidden: torch.Tensor,
    targets: torch.Tensor,
    *,
    entropy: bool = False,
    narrow: bool = True,
    tf32: bool = False,
    piece: tuple[int, int] = vocabulary_head.PIECE_ON_GPU,
    sums: Callable[..., Any] = vocabulary_head.log_sum_and_mean,
) -> tuple[float, torch.Tensor]:
    """Seconds of one call in some way, the median of three after one to warm up, and its scores."""
    one, seconds = head if narrow else head._replace(multiplies_narrow=False), list[float]()
    usual = vocabulary_head.PIECE_ON_GPU, vocabulary_head.log_sum_and_mean
    vocabulary_head.PIECE_ON_GPU, vocabulary_head.log_sum_and_mean = piece, sums
    torch.backends.cuda.matmul.allow_tf32 = tf32
    try:
        with torch.inference_mode():
            for _ in range(4):
                synchronize(hidden.device)
                started = time.perf_counter()
                scores = one.scores(hidden, targets, entropy=entropy)
                synchronize(hidden.device)
                seconds.append(time.perf_counter() - started)
    finally:
        vocabulary_head.PIECE_ON_GPU, vocabulary_head.log_sum_and_mean = usual
        torch.backends.cuda.matmul.allow_tf32 = False
    return statistics.median(seconds[1:]), scores


def by_log_softmax(logits: torch.Tensor, entropy: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """The sums from torch's fused softmax: two passes over the logits and one to write, instead of six."""
    log_sum = logits[:, 0] - torch.log_softmax(logits, -1)[:, 0]
    return log_sum, torch.full_like(log_sum, torch.nan)


def by_softmax(logits: torch.Tensor, entropy: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Both sums from torch's fused softmax: the mean logit is the log of the sum minus the entropy."""
    logprobs_ = torch.log_softmax(logits, -1)
    log_sum = logits[:, 0] - logprobs_[:, 0]
    return log_sum, log_sum - torch.special.entr(logprobs_.exp_()).sum(-1)


@torch.inference_mode()
def naive_scores(scorer: TimedScorer, request: ScoreRequest) -> int:
    """The paper's scripts' way with one row; how many tokens it read."""
    tokens, text = scorer.tokens, request.context + request.text
    ids = torch.tensor([tokens.hf.encode(text, add_special_tokens=False)], device=scorer.device)
    logprobs_ = torch.log_softmax(scorer.model(input_ids=ids, use_cache=False).logits[0], dim=-1)
    places = [len(tokens.hf.encode(request.context + request.text[: span.start], add_special_tokens=False)) for span in request.spans]
    _ = [logprobs_[place - 1, ids[0, place]].item() for place in places if 0 < place < ids.shape[1]]
    return int(ids.shape[1])


def logprobs(scorer: TimedScorer, requests: Sequence[ScoreRequest]) -> Any:
    """All log-probabilities, one after the other."""
    return np.concatenate([span.logprobs for scored in scorer.score(requests) for span in scored.spans])


if __name__ == "__main__":
    main()
