"""Statistics against hand-computed cases, against scipy where it is installed, and in what must always hold."""

import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asap.errors import UsageError
from asap.stats import holm, interval, mcnemar, smallest_difference, wilcoxon

finite = st.floats(-1e6, 1e6, allow_subnormal=False)
some = st.lists(finite, min_size=2, max_size=40)


@pytest.fixture(scope="module")
def scipy_stats() -> Any:
    return pytest.importorskip("scipy.stats", reason="scipy is not installed: the statistics were NOT compared with it")


# interval


def test_the_interval_of_equal_differences_is_that_difference() -> None:
    assert interval([0.1] * 7) == pytest.approx((0.1, 0.1), abs=1e-15)


def test_one_row_says_nothing_about_the_spread() -> None:
    assert interval([0.3]) == (-math.inf, math.inf)


def test_the_interval_of_two_rows_is_found_by_hand() -> None:
    # both, either way round, or one twice: 0, 0.5, 0.5, 1, so a quarter of the means is 0 and a quarter 1
    assert interval([0.0, 1.0], confidence=0.95) == (0.0, 1.0)
    assert interval([0.0, 1.0], confidence=0.4) == (0.5, 0.5)


def test_the_interval_is_the_same_every_time_and_another_for_another_seed() -> None:
    values = np.random.default_rng(0).normal(size=30)
    assert interval(values) == interval(list(values)) == interval(values, seed=0)
    assert interval(values) != interval(values, seed=1)


def test_draws_in_parts_are_all_there() -> None:
    values = np.random.default_rng(0).normal(size=2**16)  # four draws at a time
    low, high = interval(values, draws=90)
    assert high - low == pytest.approx(2 * 1.96 / 2**8, rel=0.35)


def test_the_interval_agrees_with_scipy(scipy_stats: Any) -> None:
    values = np.random.default_rng(3).exponential(size=40) - 1
    theirs = scipy_stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert interval(values, draws=20_000) == pytest.approx((theirs.low, theirs.high), abs=0.03 * width)


@pytest.mark.parametrize(("rows", "least", "most"), [(10, 0.86, 0.94), (40, 0.92, 0.965), (120, 0.925, 0.975)])
def test_about_nineteen_of_twenty_intervals_hold_the_truth(rows: int, least: float, most: float) -> None:
    random = np.random.default_rng(rows)
    found = [interval(random.normal(0.5, 2, rows), draws=600, seed=number) for number in range(600)]
    assert least < np.mean([low <= 0.5 <= high for low, high in found]) < most


@given(some)
@settings(max_examples=60, deadline=None)
def test_the_interval_holds_the_mean(values: list[float]) -> None:
    low, high = interval(values, draws=400)
    slack = 1e-9 * max(map(abs, values))
    assert low - slack <= np.mean(values) <= high + slack


@given(some, st.floats(-100, 100, allow_subnormal=False))
@settings(max_examples=40, deadline=None)
def test_moved_and_mirrored_differences_move_and_mirror_the_interval(values: list[float], by: float) -> None:
    low, high = interval(values, draws=200)
    near = {"abs": 1e-8 * (1 + max(map(abs, values)) + abs(by))}
    assert interval([value + by for value in values], draws=200) == pytest.approx((low + by, high + by), **near)
    assert interval([-value for value in values], draws=200) == pytest.approx((-high, -low), **near)


# Wilcoxon


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([0.0, 0.0, -0.0], 1.0),
        ([0.5], 1.0),  # one of two sign patterns, either tail
        ([1.0, 2.0, 3.0], 0.25),  # one of eight in each tail
        ([1.0, 2.0, 3.0, 0.0, 0.0], 0.25),  # zeros are left out
        ([-1.0, 2.0, 3.0, 4.0], 0.25),  # rank sums 0 and 1 of 16 patterns, twice
        ([1.0, 1.0, 1.0], 0.25),  # ties
        ([-1.0, 1.0], 1.0),
        ([1.0] * 10, 2 / 2**10),
    ],
)
def test_small_samples_by_hand(differences: list[float], p: float) -> None:
    assert wilcoxon(differences) == pytest.approx(p)


def every_sign_pattern(differences: list[float]) -> float:
    sizes = sorted(abs(one) for one in differences if one)
    ranks = {size: np.mean([place for place, other in enumerate(sizes, 1) if other == size]) for size in sizes}
    signed = [ranks[abs(one)] for one in differences if one]
    seen = sum(rank for rank, one in zip(signed, filter(None, differences), strict=True) if one > 0)
    sums = [sum(itertools.compress(signed, pattern)) for pattern in itertools.product((0, 1), repeat=len(signed))]
    return min(1.0, 2 * min(np.mean(np.array(sums) <= seen), np.mean(np.array(sums) >= seen)))


@given(st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_ties_and_zeros_agree_with_trying_every_sign_pattern(differences: list[float]) -> None:
    assert wilcoxon(differences) == pytest.approx(every_sign_pattern(differences))


@pytest.mark.parametrize("rows", [3, 8, 20, 50])
def test_up_to_fifty_rows_it_is_the_exact_test_of_scipy(rows: int, scipy_stats: Any) -> None:
    values = np.random.default_rng(rows).normal(0.3, size=rows)
    assert wilcoxon(values) == pytest.approx(scipy_stats.wilcoxon(values, method="exact").pvalue, rel=1e-9)


@pytest.mark.parametrize("round_to", [9, 1])
def test_above_it_is_the_corrected_approximation_of_scipy(round_to: int, scipy_stats: Any) -> None:
    values = np.round(np.random.default_rng(1).normal(0.2, size=150), round_to)  # with one digit many ties and some zeros
    try:
        theirs = scipy_stats.wilcoxon(values, method="asymptotic", correction=True).pvalue
    except ValueError:  # scipy before 1.15 had another name for it
        theirs = scipy_stats.wilcoxon(values, method="approx", correction=True).pvalue
    assert wilcoxon(values) == pytest.approx(theirs, rel=1e-9)


def test_exact_and_approximate_meet_where_one_takes_over() -> None:
    values = np.random.default_rng(5).normal(0.2, size=50)
    assert wilcoxon(values) == pytest.approx(wilcoxon(np.append(values, 0.001)), abs=0.02)


@given(some)
@settings(max_examples=60, deadline=None)
def test_signs_and_order_and_scale_change_no_p(values: list[float]) -> None:
    p = wilcoxon(values)
    assert 0 < p <= 1
    assert wilcoxon([-value for value in reversed(values)]) == pytest.approx(p)
    assert wilcoxon([4 * value for value in values]) == pytest.approx(p)


def test_no_false_finding_more_often_than_promised() -> None:
    random = np.random.default_rng(2)
    assert np.mean([wilcoxon(random.normal(size=15)) < 0.05 for _ in range(1500)]) < 0.06


# Holm


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_keeps_the_order_and_only_raises(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(raw <= one <= 1 for raw, one in zip(p_values, adjusted, strict=True))
    pairs = sorted(zip(p_values, adjusted, strict=True))
    assert all(one[1] <= other[1] for one, other in itertools.pairwise(pairs))
    assert min(adjusted) == min(1.0, len(p_values) * min(p_values))
    assert holm(p_values[::-1]) == adjusted[::-1]


# the smallest difference


def test_the_smallest_difference_by_hand() -> None:
    # standard deviation 2, four rows: (1.95996 + 0.84162) * 2 / 2
    assert smallest_difference([-math.sqrt(3), math.sqrt(3), -math.sqrt(3), math.sqrt(3)]) == pytest.approx(2.801585, abs=1e-6)
    assert smallest_difference([0.4, 0.4, 0.4]) == pytest.approx(0, abs=1e-15)
    assert smallest_difference([0.4]) == math.inf


def test_the_smallest_difference_shows_with_the_power_asked_for() -> None:
    random = np.random.default_rng(4)
    sample = random.normal(size=80)
    wanted = smallest_difference((sample - sample.mean()) / sample.std(ddof=1))
    assert np.mean([wilcoxon(random.normal(wanted, 1, 80)) < 0.05 for _ in range(1500)]) == pytest.approx(0.8, abs=0.04)


def test_its_quantiles_are_those_of_scipy(scipy_stats: Any) -> None:
    values = np.random.default_rng(0).normal(size=25)
    z = scipy_stats.norm.ppf(1 - 0.01 / 2) + scipy_stats.norm.ppf(0.9)
    assert smallest_difference(values, power=0.9, alpha=0.01) == pytest.approx(z * scipy_stats.sem(values), rel=1e-12)


# McNemar


@pytest.mark.parametrize(("only_a", "only_b", "p"), [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 2 / 32), (3, 3, 1.0), (1, 6, 2 * 8 / 128)])
def test_mcnemar_by_hand(only_a: int, only_b: int, p: float) -> None:
    assert mcnemar(only_a, only_b) == mcnemar(only_b, only_a) == pytest.approx(p)


@pytest.mark.parametrize(("only_a", "only_b"), [(3, 10), (40, 61), (1000, 1100), (5000, 1)])
def test_mcnemar_is_the_binomial_test_of_scipy(only_a: int, only_b: int, scipy_stats: Any) -> None:
    assert mcnemar(only_a, only_b) == pytest.approx(scipy_stats.binomtest(only_a, only_a + only_b).pvalue, rel=1e-9)


@pytest.mark.parametrize(("only_a", "only_b", "neither"), [(3, 10, 5), (40, 61, 0), (90, 60, 200), (0, 70, 3)])
def test_of_passing_and_failing_wilcoxon_is_mcnemar_for_any_number_of_rows(only_a: int, only_b: int, neither: int) -> None:
    assert wilcoxon([1.0] * only_a + [-1.0] * only_b + [0.0] * neither) == mcnemar(only_a, only_b)


# what is refused


@pytest.mark.parametrize("statistic", [interval, wilcoxon, smallest_difference])
@pytest.mark.parametrize("differences", [[], [0.1, math.nan], [math.inf, 0.1], [-math.inf], [1e200, 1.0], [[0.1], [0.2]], 0.3])
def test_no_numbers_are_refused(statistic: Callable[[Any], Any], differences: Any) -> None:
    with pytest.raises(UsageError, match=r"differences must be|not a finite number"):
        statistic(differences)


@pytest.mark.parametrize(
    "call",
    [
        lambda: interval([1, 2], confidence=1),
        lambda: interval([1, 2], confidence=math.nan),
        lambda: interval([1, 2], draws=0),
        lambda: smallest_difference([1, 2], power=0.3),
        lambda: smallest_difference([1, 2], alpha=0),
        lambda: holm([0.1, 1.2]),
        lambda: holm([math.nan]),
        lambda: mcnemar(-1, 2),
    ],
)
def test_settings_that_make_no_sense_are_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(UsageError):
        call()


@given(st.lists(st.floats(-9e149, 9e149), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_whatever_is_finite_gives_numbers_and_no_warnings(values: list[float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [*interval(values, draws=20), wilcoxon(values), smallest_difference(values)]
    assert not any(map(math.isnan, found))
