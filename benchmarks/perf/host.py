"""CPU time of a run with the model taken out: what the thread that feeds a GPU has to do for each token of a trace.

Run `python benchmarks/perf/host.py [--rows traces.jsonl.gz --limit 48]`; without rows on traces that are made up from a seed, whose few
words flatter the tokenizer's memory of words. It reads, scores, decides, stores and writes like `asap prune`; the scorer is the real one
with the bundled tokenizer, but hashes the tokens that it is asked about instead of reading them. One thread.
`--profile N` prints the N functions with the largest own times, from a run of its own.
"""

import argparse
import cProfile
import json
import os
import platform
import pstats
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from budget import make_steps
from figures import Figure, print_figures, real_rows

from asap.dataset.source import Source
from asap.lm.scorer_transformers import HFScorer
from asap.lm.specs import model_folder
from asap.prune.asap import Asap
from asap.prune.settings import AsapSettings
from asap.run import prune_into
from asap.totals import Totals
from asap.workers.blueprint import Blueprint
from asap.workers.local import InProcess

BATCH_TOKENS = 32_768  # as on a GPU, where requests are read together
GOAL_US, GOAL_ENCODED = 23.0, 20
SETTINGS = {
    "default": AsapSettings(),
    "--scores own": AsapSettings(scores="own"),
    "--scores own --coarse none": AsapSettings(scores="own", coarse="none"),
}


class WithoutModel(HFScorer):
    """The scorer of transformers whose forward pass costs nothing: log-probabilities and entropies are drawn from the tokens."""

    def _values(self, batch: Sequence[Any]) -> torch.Tensor:
        targets, rows = (np.concatenate([getattr(job.window, name) for job in batch]) for name in ("targets", "rows"))
        drawn = np.abs(np.sin(targets * 12.9898 + rows * 78.233))
        return torch.from_numpy(np.stack([-10 * drawn, 5 * drawn if batch[0].entropy else np.full(len(drawn), np.nan)], axis=1))


@dataclass(frozen=True)
class WithoutModelBlueprint(Blueprint):
    """What workers elsewhere build such a pruner from (`driver.py`)."""

    def pruner(self, device: str) -> Asap:
        """The pruner without a model."""
        return Asap(scorer_without_model(), self.settings)


class CountedTokenizer:
    """A tokenizer that counts its calls, and the texts that it is asked to encode with offsets or only to count."""

    def __init__(self, backend: Any, calls: Counter[str]) -> None:
        self._backend, self._calls = backend, calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def encode(self, text: str, **options: Any) -> Any:
        """The tokens of a text."""
        self._calls.update(calls=1, encoded=1)
        return self._backend.encode(text, **options)

    def encode_batch(self, texts: Sequence[str], **options: Any) -> Any:
        """The tokens of each text."""
        self._calls.update(calls=1, encoded=len(texts))
        return self._backend.encode_batch(texts, **options)

    def encode_batch_fast(self, texts: Sequence[str], **options: Any) -> Any:
        """The tokens of each text, without offsets."""
        self._calls.update(calls=1, counted=len(texts))
        return self._backend.encode_batch_fast(texts, **options)


class Cost(NamedTuple):
    """CPU microseconds a trace token, and the tokenizer's work a row."""

    us: float
    encoded: float
    counted: float
    calls: float


def main() -> None:
    """Print the costs, then the profile."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", help="a data set that asap prune reads")
    parser.add_argument("--limit", type=int, default=48, help="how many of its traces (default %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="timings per figure, the median counts (default %(default)s)")
    parser.add_argument("--profile", type=int, default=0, help="how many functions of the profile to print")
    args = parser.parse_args()
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}")
    print_figures(costs(args.rows, args.limit, args.repeats))
    if args.profile:
        scorer = scorer_without_model()
        with traces(args.rows, args.limit) as source, cProfile.Profile(time.process_time) as profile:
            pruned(source, scorer, AsapSettings())
        pstats.Stats(profile).sort_stats("tottime").print_stats(args.profile)


def figures(quick: bool) -> Iterator[Figure]:
    """The lines for `run.py`: real traces if there are any."""
    return costs(real_rows(), 12 if quick else 48, 1 if quick else 3)


def costs(rows: str | None, limit: int, repeats: int) -> Iterator[Figure]:
    """The figures of each variant."""
    torch.set_num_threads(1)
    with traces(rows, limit) as source:
        for name, settings in SETTINGS.items():
            cost, is_default = measured(source, settings, repeats), name == "default"
            met = cost.us <= GOAL_US if is_default else None
            yield Figure(f"host, {name}: CPU a trace token", f"{cost.us:.1f} µs", f"{GOAL_US:g} µs" if is_default else "", met)
            if is_default:
                yield Figure("host, texts encoded a row", f"{cost.encoded:.1f}", f"under {GOAL_ENCODED}", cost.encoded < GOAL_ENCODED)
                yield Figure("host, texts counted a row", f"{cost.counted:.1f}, {cost.calls:.1f} calls of the tokenizer in all")


@contextmanager
def traces(rows: str | None, limit: int) -> Iterator[Source]:
    """The traces to prune: of a data set, or made up."""
    if rows is not None:
        yield Source([rows], limit=limit)
        return
    rng = random.Random(0)
    made = [{"question": "Which?", "cot": "\n\n".join(make_steps(rng, 200, characters=90)), "answer": "This one."} for _ in range(limit)]
    with tempfile.TemporaryDirectory(prefix="asap-host-") as folder:
        file = Path(folder) / "rows.jsonl"
        file.write_text("".join(f"{json.dumps(row)}\n" for row in made), encoding="utf-8")
        yield Source([str(file)])


def measured(source: Source, settings: AsapSettings, repeats: int) -> Cost:
    """The median cost of some runs, each with a scorer of its own that knows no words yet."""
    costs = list[Cost]()
    for _ in range(repeats):
        scorer, calls = scorer_without_model(), Counter[str]()
        scorer.tokens.backend = CountedTokenizer(scorer.tokens.backend, calls)
        start = time.process_time()
        totals = pruned(source, scorer, settings)
        spent = time.process_time() - start
        costs.append(Cost(1e6 * spent / totals.tokens_before, *(calls[name] / totals.rows for name in ("encoded", "counted", "calls"))))
    return Cost(*map(statistics.median, zip(*costs, strict=True)))


def scorer_without_model() -> WithoutModel:
    """A new scorer."""
    return WithoutModel(model_folder("bundled"), device="cpu", batch_tokens=BATCH_TOKENS)


def pruned(source: Source, scorer: WithoutModel, settings: AsapSettings) -> Totals:
    """The totals of a whole run into a folder that is deleted again."""
    with tempfile.TemporaryDirectory(prefix="asap-host-") as folder:
        return prune_into(Path(folder) / "out", source, InProcess(Asap(scorer, settings)))


if __name__ == "__main__":
    main()
