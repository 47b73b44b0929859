"""Intervals over problems and seeds together: both are drawn, since another training run differs as another problem does.

With one seed this is the bootstrap over problems, which tells nothing about another training run. With few seeds the intervals are too
narrow: means drawn from S seeds show only (S - 1) / S of the variance between seeds. The same holds for few clusters.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_Shares = NDArray[np.float64]
_Places = NDArray[np.int64]
_DRAWS, _SEED = 10_000, 0
_CELLS = 2**20  # counts drawn at a time


class Spread(NamedTuple):
    """The 95 % interval of a mean, and the standard deviation of the drawn means."""

    low: float
    high: float
    deviation: float


def crossed_spread(a: _Shares, b: _Shares | None = None, clusters: Sequence[str] | None = None) -> Spread:
    """The spread of the mean of `a`, or of `a` minus `b`: a row for each problem, the same in both, a column for each seed.

    Problems of one cluster are drawn together, which never makes the spread smaller: that of a few may be small by chance. One problem,
    or one cluster, tells nothing about it: (-inf, inf).
    """
    found = _spread(a, b, np.arange(len(a)))
    if clusters is None:
        return found
    together = _spread(a, b, np.unique(np.asarray(clusters), return_inverse=True)[1])
    return max(found, together, key=lambda one: one.deviation)


def _spread(a: _Shares, b: _Shares | None, places: _Places) -> Spread:
    """The spread if the problems of one place are drawn together."""
    sizes = np.bincount(places)
    if len(sizes) == 1:
        return Spread(-math.inf, math.inf, math.inf)
    random = np.random.default_rng(_SEED)
    sums = [_sums(shares, places, len(sizes)) for shares in (a, b) if shares is not None]
    at_a_time = max(1, _CELLS // len(sizes))
    means = list[_Shares]()
    for start in range(0, _DRAWS, at_a_time):
        draws = min(at_a_time, _DRAWS - start)
        counts = random.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=draws)
        drawn = [_drawn(random, counts, one) / (counts @ sizes) for one in sums]
        means.append(drawn[0] - (drawn[1] if len(drawn) > 1 else 0))
    found = np.concatenate(means)
    low, high = np.quantile(found, [0.025, 0.975])
    return Spread(float(low), float(high), float(found.std(ddof=1)))


def _sums(shares: _Shares, places: _Places, number: int) -> _Shares:
    """The sum of each place, for each seed."""
    sums = np.zeros((number, shares.shape[1]))
    np.add.at(sums, places, shares)
    return sums


def _drawn(random: np.random.Generator, counts: NDArray[np.int64], sums: _Shares) -> _Shares:
    """The sum of each draw, given how often it has each place."""
    seeds = sums.shape[1]
    weights = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=len(counts)) / seeds
    drawn: _Shares = ((counts @ sums) * weights).sum(axis=1)
    return drawn
