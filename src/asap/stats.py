"""Paired statistics: what row-by-row differences between two methods can and cannot show.

Everything here assumes independent rows. Near-duplicates, several rows of one problem, or one model asked twice make every
interval too narrow and every p value too small (`asap compare` passes one difference for each problem). Nothing here shows that a
difference matters, only how certain its sign and size are.
Differences must be finite and below 1e150 in size; others, or an empty list, raise UsageError.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asap.errors import UsageError

ALPHA = 0.05
"""A difference counts as shown below this p, adjusted for all comparisons together."""
_Floats = NDArray[np.float64]

_EXACT_ROWS = 50  # a float64 still counts 2**50 sign patterns exactly
_CELLS = 2**18  # values drawn at a time: 2 MB, which fits in the cache
_LARGEST = 1e150  # its square, summed over rows, is still finite


def interval(differences: ArrayLike, *, confidence: float = 0.95, draws: int = 10_000, seed: int = 0) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean: low and high, in the unit of the differences.

    Rows are drawn with replacement; the same differences in the same order give the same interval. A single row reveals nothing
    about the spread: (-inf, inf). Below about twenty rows the interval is too narrow (it covers nine times in ten instead of nineteen in
    twenty for ten normal rows); it corrects neither for that nor for skew.
    """
    values = _checked(differences)
    _between("confidence", confidence, 0, 1)
    if draws < 1:
        raise UsageError(f"draws is {draws}; it must be at least 1")
    if len(values) == 1:
        return -math.inf, math.inf
    mean = float(values.mean())
    low, high = np.quantile(_drawn_means(values - mean, draws, seed), [(1 - confidence) / 2, (1 + confidence) / 2])
    return mean + float(low), mean + float(high)


def _drawn_means(values: _Floats, draws: int, seed: int) -> _Floats:
    random, rows = np.random.default_rng(seed), len(values)
    at_a_time = max(1, _CELLS // rows)
    parts = [
        values.take(random.integers(rows, size=(min(at_a_time, draws - start), rows), dtype=np.int32)).mean(axis=1)
        for start in range(0, draws, at_a_time)
    ]
    return np.concatenate(parts)


def wilcoxon(differences: ArrayLike) -> float:
    """The two-sided p of Wilcoxon's signed-rank test that the differences are symmetric about zero.

    Zero differences are dropped (Wilcoxon's own treatment), so the p covers only the rows that differ; if none differ it is 1.0.
    Equal sizes share their mean rank; if all sizes are equal, as those of passing and failing, it is McNemar's exact test. With up to
    50 differing rows the p is exact, ties included; above that, it is a normal approximation with corrections for ties and continuity.
    It does not test the mean: with skewed differences the two can disagree. Sizes that differ by less than 1e-12 of the largest are equal,
    and zero below that: 1 - 2/3 and 1/3 are two numbers to a computer.
    """
    values = _checked(differences)
    if not (largest := float(np.abs(values).max())):
        return 1.0
    values = np.round(values / largest, 12)
    values = values[values != 0]
    _, place, ties = np.unique(np.abs(values), return_inverse=True, return_counts=True)
    if len(ties) == 1:
        return mcnemar(int((values > 0).sum()), int((values < 0).sum()))
    doubled = (2 * np.cumsum(ties) - ties + 1)[place]  # twice the mean rank is a whole number
    positive = int(doubled[values > 0].sum())
    return _exact_p(doubled, positive) if len(values) <= _EXACT_ROWS else _normal_p(ties, positive / 2)


def _exact_p(doubled: NDArray[np.int64], positive: int) -> float:
    ways = np.zeros(int(doubled.sum()) + 1)  # [s]: sign patterns whose positive ranks sum to s
    ways[0] = 1
    for rank in doubled:
        ways[rank:] += ways[:-rank].copy()
    tail = min(ways[: positive + 1].sum(), ways[positive:].sum())
    return min(1.0, float(2 * tail / ways.sum()))


def _normal_p(ties: NDArray[np.int64], positive: float) -> float:
    rows, sizes = float(ties.sum()), ties.astype(float)
    variance = rows * (rows + 1) * (2 * rows + 1) / 24 - float((sizes**3 - sizes).sum()) / 48
    distance = max(0.0, abs(positive - rows * (rows + 1) / 4) - 0.5)
    return math.erfc(distance / math.sqrt(2 * variance))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values, in the order given: for each, the smallest family-wise error rate at which Holm's test rejects it.

    They bound the chance of any false finding among these p values, whatever their dependence, but cannot account for p values
    that were looked at and not passed in.
    """
    values = np.asarray(p_values, dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise UsageError("a p value is not between 0 and 1")
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    return [float(p) for p in adjusted]


def smallest_difference(differences: ArrayLike, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """The mean difference that a sample of this size and spread would show with this power in a two-sided test at alpha.

    Normal approximation: (z of 1 - alpha/2 + z of power) * standard deviation / sqrt(rows). A single row shows nothing: inf.
    Identical differences give 0. It treats the spread as known, which is optimistic for few rows, and it is not a bound: a smaller
    difference may still show, with less power.
    """
    values = _checked(differences)
    _between("alpha", alpha, 0, 1)
    _between("power", power, 0.5, 1)
    if len(values) == 1:
        return math.inf
    normal = NormalDist()
    return (normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)) * float(values.std(ddof=1)) / math.sqrt(len(values))


def mcnemar(only_a: int, only_b: int) -> float:
    """The exact two-sided p of McNemar's test, from the numbers of rows that only a and only b solve; 1.0 if both are zero.

    Rows that both or neither solve carry no information and are not needed. It does not measure the size of the difference.
    """
    if only_a < 0 or only_b < 0:
        raise UsageError(f"{only_a} and {only_b} rows: a number of rows cannot be negative")
    rows = only_a + only_b
    ways = tail = 1
    for chosen in range(min(only_a, only_b)):
        ways = ways * (rows - chosen) // (chosen + 1)
        tail += ways
    return min(1.0, 2 * tail / (1 << rows))


def _checked(differences: ArrayLike) -> _Floats:
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise UsageError(f"differences must be a list of at least one number, not of shape {values.shape}")
    if not (np.abs(values) < _LARGEST).all():  # also false for NaN
        raise UsageError("a difference is not a finite number below 1e150")
    return values


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low < value < high:
        raise UsageError(f"{name} is {value:g}; it must be between {low:g} and {high:g}")
