"""Neighbours among kept steps are those that a list of them has."""

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from asap.prune.fine.kept_steps import KeptSteps


@given(st.sampled_from([1, 2, 9, 2047, 2048, 2049, 5000]), st.lists(st.integers(0, 4999), max_size=40), st.lists(st.booleans(), max_size=3))
def test_neighbours_are_those_of_a_list(count: int, toggles: list[int], thinned: list[bool]) -> None:
    kept, expected = KeptSteps(count), list(range(count))
    for step in range(0, count, 3) if thinned else ():
        kept.remove(step)
        expected.remove(step)
    if len(thinned) > 1:  # whole blocks are gone
        for step in [step for step in expected if step < count - 5]:
            kept.remove(step)
            expected.remove(step)
    for toggle in toggles:
        step = toggle % count
        at = bisect_left(expected, step)
        if step in expected[at : at + 1]:
            kept.remove(step)
            del expected[at]
        else:
            kept.insert(step)
            expected.insert(at, step)
        assert len(kept) == len(expected)
        for place in {step, 0, count - 1, min(step + 1, count - 1)}:
            at = bisect_left(expected, place)
            assert kept.before(place) == (expected[at - 1] if at else -1)
            assert kept.behind(place) == (expected[at] if at < len(expected) else count)
    assert [*kept] == expected
    assert kept.behind(count) == kept.behind(count + 1) == count
