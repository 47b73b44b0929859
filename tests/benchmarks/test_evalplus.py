"""HumanEval+ and MBPP+: the types of arguments, and what counts as equal."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asap.benchmarks.evalplus import _equal, _is_root
from asap.benchmarks.mbpp import mbpp_arguments, mbpp_equal
from asap.benchmarks.values import close, is_floats, never_raising


@pytest.mark.parametrize(
    ("task_id", "given", "expected"),
    [
        ("Mbpp/2", [[1, 2], [3]], [(1, 2), (3,)]),
        ("Mbpp/63", [[[1, 2], [3, 4]]], [[(1, 2), (3, 4)]]),
        ("Mbpp/75", [[[1, 2]], 3], [[(1, 2)], 3]),
        ("Mbpp/106", [[1], [2]], [[1], (2,)]),
        ("Mbpp/115", [[[1, 2], [], 3]], [[{1, 2}, {}, {}]]),
        ("Mbpp/124", ["0", "1j"], [0.0, 1j]),
        ("Mbpp/252", ["(1+2j)"], [1 + 2j]),
        ("Mbpp/259", [[[1, 2]], [[3]]], [((1, 2),), ((3,),)]),
        ("Mbpp/278", [[1, [2, 3]]], [(1, (2, 3))]),
        ("Mbpp/307", [[1], 2, 3], [(1,), 2, 3]),
        ("Mbpp/580", [[1, [2, [3]]]], [(1, (2, (3,)))]),
        ("Mbpp/722", [{"a": [1.0, 2]}, 3], [{"a": (1.0, 2)}, 3]),
        ("Mbpp/3", [[1]], [[1]]),
    ],
)
def test_arguments_get_back_the_types_that_json_took(task_id: str, given: list[Any], expected: list[Any]) -> None:
    found = mbpp_arguments(task_id, given)
    assert repr(found) == repr(expected), "tuples and lists are equal to nothing but their own kind"


@pytest.mark.parametrize(
    ("output", "expected", "atol", "same"),
    [
        (1, 1, 0, True),
        (1, 1.0, 0, True),
        (True, 1, 0, True),
        (0.1 + 0.2, 0.3, 0, True),
        (0.30001, 0.3, 0, False),
        (0.300001, 0.3, 1e-3, True),
        ([0.1 + 0.2], [0.3], 0, True),
        ((0.1 + 0.2,), [0.3], 0, False),
        ([0.3, 0.3], [0.3], 0, False),
        ([[0.1 + 0.2]], [[0.3]], 0, False),
        ([[0.1 + 0.2]], [[0.3]], 1e-6, True),
        (3, 2.9999999999, 0, False),
        ("a", "a", 0, True),
        (None, None, 0, True),
        (None, 0.5, 0, False),
        (math.nan, math.nan, 0, False),
        (math.inf, math.inf, 0, True),
        ([], [], 0, True),
        (1e9 + 1, 1e9, 0, True),
    ],
)
def test_floats_may_differ_a_little_and_nothing_else(output: Any, expected: Any, atol: float, same: bool) -> None:
    assert _equal(atol)([], output, expected) is same


Values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.complex_numbers(),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)


@given(Values, Values, st.sampled_from([0.0, 1e-6]))
def test_no_value_makes_the_comparison_raise(output: Any, expected: Any, atol: float) -> None:
    _equal(atol)([], output, expected)
    for entry_point in ("similar_elements", "check_str", "surface_Area", "digit_distance_nums", "sum_div"):
        never_raising(mbpp_equal(entry_point, atol, _equal(atol)))([1, 2], output, expected)
    _is_root(atol)([[1.0, 2.0]], output, None)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=4))
def test_equal_values_are_close(values: list[float]) -> None:
    assert close(values, values, 0.0)
    assert is_floats(values) is bool(values)


def test_problems_with_an_order_that_is_free() -> None:
    equal = mbpp_equal("similar_elements", 0, _equal(0))
    assert equal([], (5, 4), (4, 5))
    assert not equal([], (4,), (4, 5))


def test_problems_that_ask_whether_something_is_found() -> None:
    equal = mbpp_equal("check_str", 0, _equal(0))
    assert equal([], True, "a match")
    assert equal([], "another match", "a match")
    assert equal([], None, None)
    assert equal([], False, None)
    assert not equal([], "a match", None)
    assert not equal([], None, "a match")


def test_the_other_reading_of_two_problems_counts() -> None:
    assert mbpp_equal("surface_Area", 0, _equal(0))([3, 4], round(9 + 2 * 3 * math.sqrt(1.5**2 + 16)), None)
    assert mbpp_equal("digit_distance_nums", 0, _equal(0))([23, 156], abs(0 - 1) + abs(2 - 5) + abs(3 - 6), 6)


def test_any_root_of_the_polynomial_is_right() -> None:
    equal = _is_root(1e-4)
    assert equal([[-6, 1, 1]], 2.0, None)
    assert equal([[-6, 1, 1]], -3.0, None)
    assert not equal([[-6, 1, 1]], 2.1, None)
    assert not equal([[-6, 1, 1]], "2", None)
    assert not equal([[-6, 1, 1]], 10**400, None)
