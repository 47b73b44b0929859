"""Any ruling on any trace gives the kept steps exactly as asked, every kept word as it was, and takes nothing else back or away."""

import json

from hypothesis import assume, given
from hypothesis import strategies as st
from prune_helpers import tokens_of

from asap.prune.decision import cut, decision_from_row
from asap.prune.decision.check import check_decision
from asap.prune.decision.overrule import Ruling, overruled
from asap.prune.decision.step_cut import CoarseReport, StepCut, StepDecision
from asap.steps import split_steps

TOKENS = tokens_of("smollm")
STEPS = st.lists(st.text("ab \n\t`é🙂\u05d0.", min_size=1).filter(str.strip), min_size=1, max_size=12)


@st.composite
def cuts(draw: st.DrawFn) -> tuple[str, StepCut]:
    """A trace and any cut of its steps."""
    cot = draw(st.sampled_from(["\n\n", "\n\n\n", "\n \n"])).join(draw(STEPS))
    spans = split_steps(cot)
    by = draw(st.lists(st.sampled_from([None, "coarse", "fine"]), min_size=len(spans), max_size=len(spans)))
    assume(spans and None in by)
    steps = [
        StepDecision(number, *span, 1, None, None, None, None, number, 1, kept=name is None, removed_by=name)
        for number, (span, name) in enumerate(zip(spans, by, strict=True))
    ]
    made = StepCut("row", "asap", TOKENS.count(cot), 1, 0, 9, 1, 1, CoarseReport("align"), steps, gap=draw(st.sampled_from(["", "[…]"])))
    return cot, StepCut(**{**{name: getattr(made, name) for name in made.__slots__}, "tokens_after": TOKENS.count(made.apply(cot))})


@given(cuts(), st.data())
def test_the_steps_are_as_asked_and_every_kept_word_is_the_original_s(made: tuple[str, StepCut], data: st.DataObject) -> None:
    cot, before = made
    numbers = [*range(len(before.steps))]
    keep = data.draw(st.sets(st.sampled_from(numbers)))
    remove = data.draw(st.sets(st.sampled_from(numbers))) - keep
    expected = ({step.index for step in before.steps if step.kept} | keep) - remove
    assume(expected)
    after = overruled(before, cot, Ruling("", None, tuple(sorted(keep)), tuple(sorted(remove))), lambda: TOKENS)
    assert isinstance(after, StepCut)
    assert {step.index for step in after.steps if step.kept} == expected
    assert {step.index for step in after.steps if step.removed_by == "person"} == {i for i in remove if before.steps[i].kept}
    written = after.apply(cot)
    if len(expected) == len(numbers):
        assert written == cot
    else:
        words = "".join(cot[step.start : step.end] for step in after.steps if step.index in expected).split()
        assert "".join(written.replace(after.gap, "").split()) == "".join(words)
    assert after.tokens_after == TOKENS.count(written)
    check_decision(after, len(cot))
    assert decision_from_row(json.loads(json.dumps(after.as_row()))) == after
    assert after.as_it_was() == before
    assert cut(after, budget=7) == cut(before, budget=7)


@given(cuts())
def test_a_row_left_whole_is_the_original_byte_for_byte(made: tuple[str, StepCut]) -> None:
    cot, before = made
    after = overruled(before, cot, Ruling("", "whole"), lambda: TOKENS)
    assert isinstance(after, StepCut)
    assert (after.apply(cot), after.tokens_after, after.changed, after.budget) == (cot, before.tokens_before, False, before.budget)
    assert after.as_it_was() == before
