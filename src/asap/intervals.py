"""Intervals of the mean difference between two runs on the same problems. docs/statistics.md says which covers what, by simulation.

Two kinds: Tango's score interval where each problem is solved or not, and Student's t for shares, graded values, tokens and clusters.
Neither covers another training run, nor problems unlike these.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asap.errors import UsageError

ERRORS_TO_SHOW = NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)
"""Of so many standard errors, a difference shows with a power of 0.8 in a two-sided test at 0.05."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)
_HALVINGS = 60


def tango(only_a: int, only_b: int, problems: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Tango's (1998) score interval of B's share of solved problems minus A's: the differences that his test does not reject.

    `only_a` and `only_b` are the problems that one of them solves alone. It has a width even where the runs agree on every problem.
    """
    if min(only_a, only_b) < 0 or problems < max(1, only_a + only_b):
        raise UsageError(
            f"{only_a} and {only_b} of {problems} problems: numbers of problems cannot be negative, nor their sum larger than all"
        )
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    found = (only_b - only_a) / problems

    def score(difference: float) -> float:
        """How far the counts lie from this difference, in its standard errors: the share of `only_a` is the likeliest under it."""
        linear = (2 * problems + only_a - only_b) * difference - only_a - only_b
        root = math.sqrt(max(0.0, linear**2 + 8 * problems * only_a * difference * (1 - difference)))
        share = (root - linear) / (4 * problems)
        variance = problems * (2 * share + difference * (1 - difference))
        distance = problems * (found - difference)
        return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance) if distance else 0.0

    return _root(lambda difference: score(difference) < z, -1.0, found), _root(lambda difference: score(difference) <= -z, found, 1.0)


def _root(after: Callable[[float], bool], low: float, high: float) -> float:
    """Where a condition that fails at first begins to hold; the ends where it always or never does."""
    if after(low):
        return low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if after(middle) else (middle, high)
    return high


class Mean(NamedTuple):
    """A mean difference, its standard error, and by how many degrees of freedom that is known."""

    mean: float
    standard_error: float
    freedom: float

    def interval(self) -> tuple[float, float]:
        """Student's 95 % interval; without a degree of freedom nothing is known of it: (-inf, inf)."""
        if not self.freedom:
            return -math.inf, math.inf
        half = student_quantile(0.975, self.freedom) * self.standard_error
        return self.mean - half, self.mean + half

    def smallest_difference(self) -> float:
        """The mean difference that a sample as large and as spread shows with a power of 0.8 in a two-sided test at 0.05."""
        return ERRORS_TO_SHOW * self.standard_error if self.freedom else math.inf


def mean_difference(differences: Sequence[float], clusters: Sequence[Hashable] | None = None) -> Mean:
    """The mean of differences, with a standard error that is robust against dependence within clusters (Miller 2024, eq. 4).

    A spread from few unequal differences is too small, and from none it is zero. So two more units count towards it (not towards the
    mean), one with a difference of the usual size for either run, as far as the runs agree: by the share of units without a difference
    (Bonett and Price 2012 add them always). Where every unit differs it is the plain t interval. Clusters never make the error smaller
    than independent rows would: the spread of a few of them may be small by chance.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise UsageError("differences must be a list of at least one finite number")
    names = np.arange(len(values)) if clusters is None else np.unique(np.asarray([repr(one) for one in clusters]), return_inverse=True)[1]
    sums, sizes = np.bincount(names, values), np.bincount(names)
    units, mean = len(sums), float(values.mean())
    if units == 1:
        return Mean(mean, math.inf, 0)
    scale = units / len(values)
    error = _standard_error(sums * scale, (sums - mean * sizes) * scale)
    return Mean(mean, error if clusters is None else max(error, _standard_error(values, values - mean)), units - 1)


def _standard_error(contributions: NDArray[Any], deviations: NDArray[Any]) -> float:
    units, differing = len(contributions), contributions[contributions != 0]
    agreeing = 1 - len(differing) / units
    usual = float((differing**2).mean()) if len(differing) else 1.0
    counted = units + 2 * agreeing
    mean_square = (float((deviations**2).sum()) + 2 * agreeing * usual) / counted
    return math.sqrt(mean_square / (counted - 1))


def student_quantile(share: float, freedom: float) -> float:
    """The value that a share of Student's t distribution lies below."""
    if share < 0.5:
        return -student_quantile(1 - share, freedom)
    angle = _root(lambda angle: _student_share(angle, freedom) >= share, 0.0, math.pi / 2)
    return math.sqrt(freedom) * math.tan(angle)


def _student_share(angle: float, freedom: float) -> float:
    """Below sqrt(freedom) * tan(angle): t's density is that of cos(angle)**(freedom - 1)."""
    least = min(angle, 40 / math.sqrt(freedom)) if freedom > 100 else angle  # beyond lies nothing, and nodes would be wasted on it
    constant = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    nodes = (_NODES + 1) * least / 2
    return 0.5 + constant * least / 2 * float((_WEIGHTS * np.cos(nodes) ** (freedom - 1)).sum())
