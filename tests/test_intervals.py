"""Intervals against statsmodels, scipy and evalstats on 1,000 random tables where they are installed, and in what must always hold.

Their coverage is measured by benchmarks/coverage.py; here it is computed exactly for a few shares.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asap.errors import UsageError
from asap.intervals import mean_difference, student_quantile, tango
from asap.stats import holm, mcnemar, wilcoxon

TABLES = 1000


def random_tables() -> list[tuple[int, int, int]]:
    """Numbers of problems that only A solves, that only B solves, and of all."""
    random = np.random.default_rng(0)
    drawn = list[tuple[int, int, int]]()
    for _ in range(TABLES):
        differing, split, rows = random.random(), random.random(), int(random.integers(1, 700))
        only_a, only_b, _ = random.multinomial(rows, [differing * split, differing * (1 - split), 1 - differing])
        drawn.append((int(only_a), int(only_b), rows))
    return drawn


def test_mcnemar_and_holm_are_those_of_statsmodels() -> None:
    tables = pytest.importorskip("statsmodels.stats.contingency_tables", reason="statsmodels is not installed: NOT compared with it")
    from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

    found = [mcnemar(a, b) for a, b, _ in random_tables()]
    expected = [tables.mcnemar([[0, a], [b, n - a - b]], exact=True).pvalue for a, b, n in random_tables()]
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-300)
    for start in range(0, TABLES, 10):
        some = found[start : start + 1 + start % 9]
        assert holm(some) == pytest.approx(multipletests(some, method="holm")[1].tolist())


def test_wilcoxon_is_that_of_scipy_on_shares_and_graded_values() -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed: NOT compared with it")
    random = np.random.default_rng(1)
    for number in range(TABLES):
        rows = int(random.integers(60, 300)) if number % 2 else int(random.integers(5, 13))
        values = random.normal(0.1, 0.3, rows) if number % 3 or number % 2 == 0 else random.integers(-4, 5, rows) / 4
        method, correction = ("approx", True) if rows > 50 else ("exact", False)
        assert wilcoxon(values) == pytest.approx(stats.wilcoxon(values, method=method, correction=correction).pvalue)


def test_tango_is_that_of_evalstats() -> None:
    resampling = pytest.importorskip("evalstats.core.resampling", reason="evalstats is not installed: Tango NOT compared with it")
    for a, b, n in random_tables():
        one = np.repeat([1.0, 0.0, 1.0], [a, b, n - a - b])
        other = np.repeat([0.0, 1.0, 1.0], [a, b, n - a - b])
        assert tango(a, b, n) == pytest.approx(resampling.tango_scc_paired_ci(other, one, 0.05, c=0.0), abs=1e-8)


def test_student_is_that_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed: Student's t was NOT compared with it")
    for freedom in (1, 2, 3.3, 29, 163, 1318, 1e5):
        for share in (0.05, 0.6, 0.8, 0.95, 0.975, 0.995):
            assert student_quantile(share, freedom) == pytest.approx(stats.t.ppf(share, freedom), rel=1e-8)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 200))
@settings(max_examples=80, deadline=None)
def test_tango_holds_the_difference_and_turns_with_the_runs(only_a: int, only_b: int, same: int) -> None:
    n = only_a + only_b + same
    if not n:
        with pytest.raises(UsageError):
            tango(only_a, only_b, n)
        return
    low, high = tango(only_a, only_b, n)
    assert -1 <= low <= (only_b - only_a) / n <= high <= 1
    assert high > low
    assert tango(only_b, only_a, n) == pytest.approx((-high, -low), abs=1e-12)
    assert tango(only_a, only_b, n, confidence=0.9)[0] >= low


def binomial(successes: int, trials: int, share: float) -> float:
    ways = math.lgamma(trials + 1) - math.lgamma(successes + 1) - math.lgamma(trials - successes + 1)
    return math.exp(ways + successes * math.log(share) + (trials - successes) * math.log1p(-share))


@pytest.mark.parametrize("problems", [30, 164])
@pytest.mark.parametrize(("discordant", "share"), [(0.1, 0.5), (0.2, 0.6), (0.3, 0.75), (0.5, 0.9)])
def test_tango_covers_by_exact_enumeration(problems: int, discordant: float, share: float) -> None:
    """The chance that the interval holds the truth, summed over all tables: near 0.95, where the percentile bootstrap falls to 0.76."""
    only_a, only_b = discordant * (1 - share), discordant * share
    covered = 0.0
    for a in range(problems + 1):
        chance_a = binomial(a, problems, only_a)
        for b in range(problems - a + 1) if chance_a > 1e-8 else ():
            chance = chance_a * binomial(b, problems - a, only_b / (1 - only_a))
            if chance > 1e-7:
                low, high = tango(a, b, problems)
                covered += chance * (low <= only_b - only_a <= high)
    assert 0.93 < covered < 0.975


def test_the_interval_of_a_mean_by_hand() -> None:
    """Every unit differs: the plain t interval."""
    found = mean_difference([1.0, 2.0, 3.0])
    assert (found.mean, found.standard_error, found.freedom) == (2.0, pytest.approx(math.sqrt(1 / 3)), 2)
    assert found.interval() == pytest.approx((2 - 4.3026527 * math.sqrt(1 / 3), 2 + 4.3026527 * math.sqrt(1 / 3)))


def test_runs_that_agree_do_not_make_the_interval_a_point() -> None:
    low, high = mean_difference([0.0] * 30).interval()
    assert (low, high) == (-high, pytest.approx(0.0918, abs=1e-4))
    assert mean_difference([0.5]).interval() == (-math.inf, math.inf)
    assert mean_difference([0.5]).smallest_difference() == math.inf


def test_clusters_widen_the_interval() -> None:
    values = [0.25] * 10 + [-0.25] * 10 + [0.5] * 10 + [0.0] * 10
    alone = mean_difference(values)
    grouped = mean_difference(values, [number // 10 for number in range(40)])
    assert grouped.mean == alone.mean
    assert grouped.freedom == 3
    assert grouped.standard_error > 3 * alone.standard_error
    assert mean_difference(values, range(40)) == alone


def test_clusters_of_unequal_size_weigh_by_their_problems() -> None:
    """Miller's (2024) formula by hand: the square root of the sum of squared cluster residuals, over n, with C / (C - 1)."""
    values, clusters = [1.0, 1.0, 1.0, 0.5, -0.5, 0.25], ["a", "a", "a", "b", "c", "c"]
    found, mean = mean_difference(values, clusters), sum(values) / 6
    residuals = [3 - 3 * mean, 0.5 - mean, -0.25 - 2 * mean]
    assert found.standard_error == pytest.approx(math.sqrt(3 / 2 * sum(one**2 for one in residuals)) / 6)


def test_what_is_no_list_of_numbers() -> None:
    for values in ([], [float("nan")]):
        with pytest.raises(UsageError):
            mean_difference(values)
    with pytest.raises(UsageError):
        tango(3, 3, 5)
