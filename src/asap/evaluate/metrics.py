"""Figures about one run: Pass@k without bias, its interval, and what the tokens and seconds were."""

import math
from collections.abc import Sequence
from statistics import NormalDist

from asap.errors import UsageError
from asap.stats import interval


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """The chance that at least one of `k` of the samples, drawn without replacement, passes: 1 - C(n-c, k) / C(n, k)."""
    if not 1 <= k <= samples or not 0 <= passed <= samples:
        raise UsageError(f"pass@{k} of {passed} passed among {samples} samples; 1 <= k <= samples and 0 <= passed <= samples are expected")
    return 1.0 - math.comb(samples - passed, k) / math.comb(samples, k)


def wilson(passed: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, low and high: right also near 0 and 1. Nothing at all gives (0, 1)."""
    if not total:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.975)
    share, spread = passed / total, z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    # rounding must not leave the observed share outside
    return min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half))


def pass_interval(rates: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of Pass@1 from each problem's share of passing samples: Wilson's, or a bootstrap if there are shares between."""
    if all(rate in (0.0, 1.0) for rate in rates):
        return wilson(round(sum(rates)), len(rates))
    low, high = interval(rates)
    return max(0.0, low), min(1.0, high)


def median(values: Sequence[float]) -> float | None:
    """The middle value; None of nothing."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if not ordered:
        return None
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def mean(values: Sequence[float]) -> float | None:
    """The mean; None of nothing."""
    return sum(values) / len(values) if values else None
