"""Pass@k and intervals: each against its own definition, spelled out."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asap.errors import UsageError
from asap.evaluate.metrics import mean, median, pass_at_k, pass_interval, wilson


@given(st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_draws_with_a_pass_in_them(numbers: tuple[int, int, int]) -> None:
    samples, passed, k = numbers
    draws = list(combinations([True] * passed + [False] * (samples - passed), k))
    assert pass_at_k(samples, passed, k) == pytest.approx(sum(map(any, draws)) / len(draws))


@pytest.mark.parametrize("numbers", [(1, 0, 2), (0, 0, 1), (3, 4, 1), (3, -1, 1), (3, 1, 0)])
def test_pass_at_k_of_impossible_numbers(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError):
        pass_at_k(*numbers)


@given(st.integers(1, 500).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_wilsons_interval_is_where_the_score_test_accepts(numbers: tuple[int, int]) -> None:
    passed, total = numbers
    low, high = wilson(passed, total)
    assert 0 <= low <= passed / total <= high <= 1
    for end in (low, high):
        if 0 < end < 1:  # there the observed share is exactly 1.96 standard errors away
            assert (passed / total - end) ** 2 == pytest.approx(1.959964**2 * end * (1 - end) / total, rel=1e-5)


def test_wilson_of_nothing_and_of_known_figures() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(101, 164) == pytest.approx((0.5396, 0.6868), abs=1e-4)


def test_with_several_samples_the_interval_is_a_bootstrap_over_problems() -> None:
    low, high = pass_interval([0.5, 0.25, 0.75, 1.0, 0.0] * 10)
    assert low < 0.5 < high
    assert pass_interval([1.0, 0.0]) == wilson(1, 2)


def test_middle_and_mean() -> None:
    assert (median([3, 1, 2]), median([1, 2, 3, 4]), median([])) == (2, 2.5, None)
    assert (mean([1, 2]), mean([])) == (1.5, None)
