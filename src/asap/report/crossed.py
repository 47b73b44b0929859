"""Intervals over problems and seeds together: both are drawn, since another training run differs as another problem does.

With one seed this is the bootstrap over problems, and nothing is known about another training run. With few seeds it is too narrow: of S
seeds the drawn means show (S - 1) / S of the variance between seeds.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_Shares = NDArray[np.float64]
_DRAWS, _SEED = 10_000, 0
_CELLS = 2**20  # counts drawn at a time


class Spread(NamedTuple):
    """The 95 % interval of a mean, and the standard deviation of the drawn means."""

    low: float
    high: float
    deviation: float


def crossed_spread(a: _Shares, b: _Shares | None = None) -> Spread:
    """The spread of the mean of `a`, or of `a` minus `b`: a row for each problem, the same in both, a column for each seed."""
    random = np.random.default_rng(_SEED)
    problems = len(a)
    at_a_time = max(1, _CELLS // problems)
    means = list[_Shares]()
    for start in range(0, _DRAWS, at_a_time):
        draws = min(at_a_time, _DRAWS - start)
        counts = random.multinomial(problems, np.full(problems, 1 / problems), size=draws) / problems
        means.append(_drawn(random, counts, a) - (0 if b is None else _drawn(random, counts, b)))
    drawn = np.concatenate(means)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Spread(float(low), float(high), float(drawn.std(ddof=1)))


def _drawn(random: np.random.Generator, counts: _Shares, shares: _Shares) -> _Shares:
    """The mean of each draw, given how often it has each problem."""
    seeds = shares.shape[1]
    weights = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=len(counts)) / seeds
    drawn: _Shares = ((counts @ shares) * weights).sum(axis=1)
    return drawn
