"""How often the intervals of asap.intervals hold the true difference: 95 of 100 times is what they promise.

    python benchmarks/coverage.py [--draws 10000]

Each line is a kind of data and a number of problems, with the share of drawn data sets whose 95 % interval holds the truth; beside it the
same for the percentile bootstrap, which they replaced. docs/statistics.md has the results.
"""

import argparse
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asap.intervals import mean_difference, tango
from asap.stats import interval

Floats = NDArray[np.float64]
Random = np.random.Generator
PROBLEMS = (30, 164, 612)
BOOTSTRAPS = 400


class Kind(NamedTuple):
    """Data of one kind: draws differences of so many problems, with their clusters, whose true mean is `truth`."""

    name: str
    draw: Callable[[Random, int], tuple[Floats, NDArray[np.int64] | None]]
    truth: float
    binary: bool = False


def solved_or_not(differing: float, only_b: float) -> Kind:
    """One answer to each problem: the runs differ on a share of the problems, of which B solves a share."""
    shares = [differing * (1 - only_b), differing * only_b, 1 - differing]
    name = f"solved or not, {differing:.0%} differ, {only_b:.0%} of these for B"
    return Kind(name, lambda random, n: (random.choice([-1.0, 1.0, 0.0], n, p=shares), None), shares[1] - shares[0], True)


def shares_of(samples: int, ability: float, effect: float, spread: float, cluster: int = 1) -> Kind:
    """Problems of normal difficulty in logits, `samples` answers by each run (0: their chance itself, a graded value).

    Problems of a cluster share half of the variance of the effect and of the difficulty.
    """

    def draw(random: Random, n: int) -> tuple[Floats, NDArray[np.int64] | None]:
        clusters = np.arange(n) // cluster
        mix = np.sqrt([0.5, 0.5]) if cluster > 1 else np.array([1.0, 0.0])
        own, shared = random.normal(size=(2, n)), random.normal(size=(2, n))[:, clusters]
        difficulty, change = 1.5 * (mix[0] * own[0] + mix[1] * shared[0]), spread * (mix[0] * own[1] + mix[1] * shared[1])
        chances = [1 / (1 + np.exp(-ability - difficulty)), 1 / (1 + np.exp(-ability - difficulty - effect - change))]
        a, b = (random.binomial(samples, one) / samples for one in chances) if samples else chances
        return b - a, clusters if cluster > 1 else None

    truth = float(np.mean([draw(np.random.default_rng(seed), 400_000)[0].mean() for seed in range(5)]))
    what = f"{samples} answers a problem" if samples else "graded from 0 to 1"
    grouped = f", clusters of {cluster}" if cluster > 1 else ""
    return Kind(f"{what}{grouped}, mean {1 / (1 + np.exp(-ability)):.0%}, difference {truth:+.3f}", draw, truth)


@cache
def _tango(only_a: int, only_b: int, problems: int) -> tuple[float, float]:
    return tango(only_a, only_b, problems)


def covered(kind: Kind, problems: int, draws: int) -> tuple[float, float]:
    """The shares of draws whose interval, and whose bootstrap interval, holds the truth; fewer draws for the bootstrap."""
    random = np.random.default_rng(problems)
    held, bootstrapped = 0, list[bool]()
    for number in range(draws):
        values, clusters = kind.draw(random, problems)
        if kind.binary:
            low, high = _tango(int((values < 0).sum()), int((values > 0).sum()), problems)
        else:
            low, high = mean_difference(values, None if clusters is None else clusters.tolist()).interval()
        held += low - 1e-12 <= kind.truth <= high + 1e-12
        if number % 20 == 0:
            ends = interval(values, draws=BOOTSTRAPS, seed=number)
            bootstrapped.append(ends[0] - 1e-12 <= kind.truth <= ends[1] + 1e-12)
    return held / draws, float(np.mean(bootstrapped))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10_000)
    draws = parser.parse_args().draws
    kinds = [solved_or_not(differing, only_b) for differing in (0.05, 0.1, 0.2, 0.4) for only_b in (0.5, 0.75)]
    kinds += [shares_of(4, 0, 0.3, 0.5), shares_of(10, 3, 0.5, 0.3), shares_of(0, 0, 0.3, 1), shares_of(0, 2, -0.5, 0.5)]
    kinds += [shares_of(4, 0, 0.3, 1, cluster=3), shares_of(1, 0, 0.3, 1, cluster=3)]
    print(f"| {'data':58} | n | interval | bootstrap |\n|---|---:|---:|---:|")
    for kind in kinds:
        for problems in PROBLEMS:
            ours, bootstrap = covered(kind, problems, draws if kind.binary else draws // 5)
            print(f"| {kind.name} | {problems} | {ours:.3f} | {bootstrap:.3f} |", flush=True)


if __name__ == "__main__":
    main()
