"""Stage 1 without an LLM: which steps go for given alignments, alignments for given scores, and the prompt that shows the anchor."""

from string import Formatter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asap.errors import RowError
from asap.lm.scorer import TokenScores
from asap.prune.anchored import align_prompt, anchored_prompt
from asap.prune.coarse.align import alignments, unaligned
from asap.sample import Sample

values = st.lists(st.floats(-5, 5) | st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=20)
shares = st.floats(0, 1)


def scores(*logprobs: float) -> TokenScores:
    places = np.arange(len(logprobs))
    return TokenScores(places, places + 1, np.array(logprobs, dtype=np.float64), np.full(len(logprobs), np.nan))


@given(values, shares)
def test_never_all_steps_go_and_never_one_above_zero(alignments: list[float], share: float) -> None:
    gone = unaligned(alignments, share)
    assert len(gone) == len(alignments)
    assert not all(gone)
    assert all(value <= 0 for value, goes in zip(alignments, gone, strict=True) if goes)


@given(values, shares)
def test_at_most_the_share_goes_and_only_the_lowest(alignments: list[float], share: float) -> None:
    gone = unaligned(alignments, share)
    assert sum(gone) <= np.ceil(share * (len(alignments) - 1) + 1e-9)
    kept_values = [value for value, goes in zip(alignments, gone, strict=True) if not goes and value <= 0]
    gone_values = [value for value, goes in zip(alignments, gone, strict=True) if goes]
    assert not gone_values or not kept_values or max(gone_values) < min(kept_values)


@given(values)
def test_a_share_of_zero_removes_nothing(alignments: list[float]) -> None:
    assert not any(unaligned(alignments, 0))


@given(values, shares, shares)
def test_a_larger_share_removes_the_same_steps_and_more(alignments: list[float], one: float, other: float) -> None:
    few, many = unaligned(alignments, min(one, other)), unaligned(alignments, max(one, other))
    assert all(later or not earlier for earlier, later in zip(few, many, strict=True))


@pytest.mark.parametrize(
    ("alignments", "share", "gone"),
    [
        ([-4.0, -3.0, -2.0, -1.0, 1.0], 0.5, [True, True, False, False, False]),
        ([-4.0, -3.0, -2.0, -1.0, 1.0], 1.0, [True, True, True, True, False]),
        ([-4.0, -3.0, -2.0, -1.0], 1.0, [True, True, True, False]),
        ([1.0, 2.0, 3.0], 1.0, [False, False, False]),
        ([0.0, 2.0, 3.0], 1.0, [True, False, False]),
        ([-1.0, -1.0, -1.0], 1.0, [False, False, False]),
        ([-1.0, -2.0, -1.0, -2.0], 0.75, [False, True, False, True]),
        ([-2.0, -2.0, -2.0, -1.0], 0.5, [False, False, False, False]),
        ([-5.0], 1.0, [False]),
        ([-5.0, -1.0], 0.25, [True, False]),
    ],
    ids=str,
)
def test_which_steps_go(alignments: list[float], share: float, gone: list[bool]) -> None:
    assert unaligned(alignments, share) == gone


def test_alignment_is_the_gain_in_mean_log_probability() -> None:
    plain = [scores(-1.0, -3.0), scores(-2.0), scores(-1.0, -1.0, -4.0), scores()]
    anchored = [scores(-0.5, -1.5), scores(-2.5), scores(-1.0, -1.0, -4.0), scores()]
    assert alignments(plain, anchored) == [1.0, -0.5, 0.0, 0.0]


def test_alignments_are_rounded_before_they_are_compared() -> None:
    [value] = alignments([scores(-1.00000049)], [scores(-1.0)])
    assert value == 0.0
    assert str(value) == "0.0", "no negative zero"
    assert alignments([scores(-1.0)], [scores(-1.0000001)]) == [0.0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_scores_that_are_no_numbers_are_an_error_of_the_row(value: float) -> None:
    with pytest.raises(RowError, match="bad_scores"):
        alignments([scores(-1.0)], [scores(value)])


def test_the_prompt_file_has_each_placeholder_once() -> None:
    fields = [field for _, field, _, _ in Formatter().parse(align_prompt()) if field is not None]
    assert fields == ["question", "anchor"]
    assert not align_prompt().endswith("\n")


@given(st.text(max_size=30), st.text(max_size=30))
def test_the_prompt_shows_question_and_answer_once_and_nothing_is_left_open(question: str, answer: str) -> None:
    [message] = anchored_prompt(Sample("i", question, "c", answer))
    shown = align_prompt().split("{question}")[0] + question + align_prompt().split("{question}")[1].split("{anchor}")[0]
    assert message == {"role": "user", "content": shown + answer + align_prompt().split("{anchor}")[1]}


@pytest.mark.parametrize("text", ["{anchor}", "{question}", "{question} and {anchor}", "{", "{}", "{0}", "%s", "\\1", "{{x}}"])
def test_placeholders_in_question_and_answer_stay_as_they_are(text: str) -> None:
    unfilled = align_prompt().replace("{question}", "").replace("{anchor}", "")
    [message] = anchored_prompt(Sample("i", f"Q {text} Q", "c", f"A {text} A"))
    assert message["content"].count(f"Q {text} Q") == 1
    assert message["content"].count(f"A {text} A") == 1
    assert message["content"].replace(f"Q {text} Q", "").replace(f"A {text} A", "") == unfilled


def test_the_system_message_stays_in_front() -> None:
    sample = Sample("i", "q", "c", "a", system="Be brief.")
    system, user = anchored_prompt(sample)
    assert system == {"role": "system", "content": "Be brief."}
    assert user["role"] == "user"
    assert sample.prompt[1]["content"] == "q"
