"""How much of what a scorer reads for one row it has read before: the question, and the trace up to the first step that stage 1 removes.

Run `python benchmarks/perf/prefix.py --rows traces.jsonl.gz --limit 16`. A row is read three times: the trace after the question, the
trace after question and answer, and after the question what stage 1 leaves. This prints how many of the tokens stand in an earlier
reading with the same tokens before them, and the CPU time of each reading. Kept keys and values could save no more than that.
"""

import argparse
import time
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
from budget import print_header
from numpy.typing import NDArray

from asap.dataset import read_samples
from asap.lm.scorer import Scored, ScoreRequest
from asap.lm.scorer_transformers import HFScorer
from asap.lm.specs import model_folder
from asap.lm.windows import Windowed
from asap.prune.asap import Asap
from asap.prune.settings import AsapSettings


class Watched(HFScorer):
    """A scorer that keeps the ids of each reading and its CPU seconds."""

    readings: list[tuple[NDArray[np.int64], float]]

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """The scores of the one request."""
        started = time.process_time()
        scored = super().score(requests)
        [request] = requests
        ids = np.concatenate([window.ids for window in Windowed.of(request, self.tokens, self.context_tokens).windows])
        self.readings.append((ids, time.process_time() - started))
        return scored


def main() -> None:
    """Decide about each row, and print the sums over all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", required=True, help="traces, as `asap prune` reads them")
    parser.add_argument("--limit", type=int, default=16, help="how many (default %(default)s)")
    parser.add_argument("--every", type=int, default=1, help="take every so-manieth row (default %(default)s)")
    parser.add_argument("--longest", type=int, default=3500, help="leave out longer traces (default %(default)s tokens)")
    parser.add_argument("--date", default="", help="shown in the header")
    args = parser.parse_args()
    print_header(args.date, ["torch", "transformers"])
    scorer = Watched(model_folder("bundled"), device="cpu")
    pruner = Asap(scorer, AsapSettings(ratio=0.5))
    samples = (sample for sample in read_samples(args.rows) if scorer.tokens.count(sample.cot) <= args.longest)
    sums = np.zeros((3, 3))
    for sample in islice(samples, 0, args.limit * args.every, args.every):
        scorer.readings = []
        pruner.decide([sample])
        if len(scorer.readings) == 3:
            sums += [row_of(number, scorer.readings) for number in range(3)]
    print("\n| reading | tokens | of these read before | CPU s |\n|---|---|---|---|")
    for name, (tokens, before, seconds) in zip(["question", "question and answer", "what stage 1 leaves"], sums, strict=True):
        print(f"| {name} | {tokens:,.0f} | {before:,.0f} ({before / tokens:.1%}) | {seconds:.1f} |")
    print(f"\nin all {sums[:, 1].sum() / sums[:, 0].sum():.1%}; by the CPU time of each reading {cpu_share(sums):.1%}")


def row_of(number: int, readings: list[tuple[NDArray[np.int64], float]]) -> list[float]:
    """Tokens of a reading, how many an earlier one begins with too, CPU seconds."""
    ids, seconds = readings[number]
    return [len(ids), max([shared(ids, other) for other, _ in readings[:number]], default=0), seconds]


def shared(one: NDArray[np.int64], other: NDArray[np.int64]) -> int:
    """How many ids two readings have in common from the beginning."""
    least = min(len(one), len(other))
    different = np.flatnonzero(one[:least] != other[:least])
    return int(different[0]) if len(different) else least


def cpu_share(sums: NDArray[Any]) -> float:
    """The share of the CPU time that the tokens read before took, if all of a reading take the same."""
    return float((sums[:, 1] / sums[:, 0] * sums[:, 2]).sum() / sums[:, 2].sum())


if __name__ == "__main__":
    main()
