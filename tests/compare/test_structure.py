"""What a cut does to the form of a trace, by hand and on any text."""

import string

from hypothesis import given
from hypothesis import strategies as st

from asap.compare.structure import dangling, structure
from asap.prune.decision import CoarseReport, Decision, StepDecision
from asap.steps import Span, is_fenced, join_steps, keep_steps, split_steps

TRACE = (
    "Let total = 0 first.\n\n```python\ncount: int = 1\nfor item in xs:\n    total += item\n```\n\n"
    "Now total and count are known.\n\nSo count == 1."
)


def decided(cot: str, keep: list[int], spans: list[tuple[int, int]] | None = None) -> Decision:
    steps = [
        StepDecision(number, span.start, span.end, 1, None, None, None, None, number, 0, number in keep, None if number in keep else "fine")
        for number, span in enumerate(split_steps(cot))
    ]
    return Decision("a", "asap", 9, 9, 5, 5, 1, 1, CoarseReport("none"), steps, spans)


def lost(keep: list[int]) -> list[str]:
    spans = split_steps(TRACE)
    return dangling(TRACE, [spans[index] for index in keep])


def test_a_name_dangles_when_every_definition_is_gone_and_a_use_is_left() -> None:
    assert lost([0, 1, 2, 3]) == []
    assert lost([0, 2, 3]) == ["count"]
    assert lost([1, 2]) == ["total"]
    assert lost([2, 3]) == ["count", "total"]
    assert lost([0]) == []


def test_a_comparison_or_a_name_inside_a_word_is_no_definition() -> None:
    assert dangling("so count == 1\n\nlast count", [Span(15, 25)]) == []
    assert dangling("nn = 1\n\nbanner", [Span(8, 14)]) == []


def test_a_use_before_the_first_definition_does_not_count() -> None:
    assert dangling("total is asked for\n\ntotal = 3", [Span(0, 18)]) == []


def test_the_end_of_the_thinking() -> None:
    words = "a1\n\nb1\n\nc1\n\nd1"
    assert structure(words, decided(words, [0, 3])).last_kept == 1 / 3
    assert structure(words, decided(words, [1, 2, 3])).last_kept == 1.0
    assert structure(words, decided(words, [0])).last_kept == 0.0


def test_whole_steps_never_leave_a_fence_open() -> None:
    for keep in ([0], [1], [1, 3], [2]):
        assert structure(TRACE, decided(TRACE, keep)).open_fences == 0


WORDS = st.lists(st.text(string.ascii_letters + " =:_\n`~", max_size=30), min_size=1, max_size=8).map("\n\n".join)


@given(WORDS, st.data())
def test_nothing_dangles_where_nothing_or_everything_was_cut(cot: str, data: st.DataObject) -> None:
    steps = split_steps(cot)
    assert dangling(cot, steps) == []
    assert dangling(cot, []) == []
    kept = data.draw(st.lists(st.booleans(), min_size=len(steps), max_size=len(steps)))
    left = [span for span, keep in zip(steps, kept, strict=True) if keep]
    text = join_steps(cot, left)
    assert all(name in text for name in dangling(cot, left))


@given(WORDS)
def test_joined_steps_of_a_closed_text_are_closed(cot: str) -> None:
    if not is_fenced(cot):
        steps = split_steps(cot)
        assert not is_fenced(keep_steps(cot, steps, [index % 2 == 0 for index in range(len(steps))]))
