"""Whatever a reply is, original steps in their order come out of it, or InvalidReply; Algorithm 1 decides, and it alone."""

import random
from collections.abc import Sequence
from difflib import SequenceMatcher

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prune_helpers import real_traces

from asap.lm.generate import Generation
from asap.prune.coarse.llm_reply import InvalidReply, delimiters, enclosed
from asap.prune.coarse.match import Match
from asap.prune.coarse.rewrite import read_rewrite, rewrite_request
from asap.sample import Sample
from asap.steps import StepSplit, keep_steps, split_steps

STEPS = [
    "Okay, so I need to add two numbers and print the sum.",
    "```python\ndef add(a, b):\n\n    return a + b\n```",
    "Wait, what about negative values? They work in the same way.",
    "    indented = True",
    "Hmm, maybe a loop would be better here.",
    "But no: the plus operator is all that is needed.",
    "```python\nprint(add(1, 2))\n\nprint(add(-1, 1))\n```",
]
COT = "\n\n".join(STEPS)

texts = st.text("ab \n`~\r", max_size=60) | st.text(max_size=60)
splits = st.sampled_from(["fenced", "paper"])


def read(text: str, cot: str = COT, *, split: StepSplit = "fenced", tau: float = 0.6, finish: str = "stop") -> list[Match]:
    return read_rewrite(Generation(text, finish, 100, 50), cot, split_steps(cot, split), split=split, tau=tau)


def kept_by(text: str, cot: str = COT, *, split: StepSplit = "fenced", tau: float = 0.6) -> list[int]:
    return [match.step for match in read(text, cot, split=split, tau=tau)]


def refused(text: str, cot: str = COT, *, finish: str = "stop") -> InvalidReply:
    with pytest.raises(InvalidReply) as error:
        read(text, cot, finish=finish)
    return error.value


def algorithm_1(cot: str, coarse: str, split: StepSplit, tau: float) -> bool:
    """The paper's Algorithm 1, literally, on steps without outer white space."""
    origin, pruned = ([text[start:end].strip() for start, end in split_steps(text, split)] for text in (cot, coarse))
    origin_idx = 0
    for step in pruned:
        found = False
        while origin_idx < len(origin):
            ratio = SequenceMatcher(None, origin[origin_idx], step, autojunk=False).ratio()
            origin_idx += 1
            if ratio >= tau:
                found = True
                break
        if not found:
            return False
    return True


def verdict(text: str, cot: str, split: StepSplit, tau: float) -> bool:
    try:
        kept = kept_by(text, cot, split=split, tau=tau)
    except InvalidReply as error:
        if error.reason != "no_match":
            raise
        return False
    assert kept == sorted(set(kept))
    return True


def test_the_request_shows_all_and_tells_draws_apart() -> None:
    row = Sample("1", "Add {trace}.", COT, "a + b")
    first, second = (rewrite_request(row, "1. Add {begin}.", temperature=2.0, max_tokens=900, draw=draw) for draw in (0, 1))
    assert (first.temperature, first.top_p, first.max_new_tokens, first.schema, first.draw, second.draw) == (2.0, 1.0, 900, None, 0, 1)
    assert first.messages == second.messages
    assert first.key("m") != second.key("m")
    content = first.messages[0]["content"]
    for name, text in (("question", row.question), ("outline", "1. Add {begin}."), ("trace", COT)):
        assert enclosed(name, text) in content
    assert content.splitlines()[-1].endswith(delimiters("trace", COT).end)


@given(st.lists(texts, min_size=1, max_size=5), texts, splits, st.booleans())
def test_whatever_the_reply_is_original_steps_in_order_come_out(steps: list[str], text: str, split: StepSplit, delimited: bool) -> None:
    cot = "\n\n".join(steps)
    spans = split_steps(cot, split)
    reply = enclosed("trace", cot).replace(cot, text) if delimited else text
    try:
        found = read_rewrite(Generation(reply, "stop", 0, 0), cot, spans, split=split, tau=0.6)
    except InvalidReply:
        return
    kept = [match.step for match in found]
    assert kept == sorted(set(kept))
    assert kept
    assert set(kept) <= set(range(len(spans)))
    assert all(0.6 <= match.similarity <= 1 for match in found)


@given(st.sets(st.integers(0, len(STEPS) - 1), min_size=1), st.sampled_from(["plain", "delimited", "fence", "both"]))
def test_a_verbatim_subset_keeps_exactly_its_steps(kept: set[int], form: str) -> None:
    text = "\n\n".join(STEPS[index] for index in sorted(kept))
    lines = delimiters("trace", COT)
    if form in ("fence", "both"):
        text = f"```text\n{text}\n```\n"
    if form in ("delimited", "both"):
        text = f"Sure, here it is:\n\n{lines.begin}\n{text}\n{lines.end}\n\nI removed two steps."
    assert read(text) == [Match(step, 1.0) for step in sorted(kept)]


@given(st.lists(st.sampled_from(["a", "b", "c\nd"]), min_size=1, max_size=8), st.data())
def test_equal_steps_get_a_choice_in_order(steps: list[str], data: st.DataObject) -> None:
    kept = data.draw(st.sets(st.integers(0, len(steps) - 1), min_size=1))
    found = read("\n\n".join(steps[index] for index in sorted(kept)), "\n\n".join(steps))
    assert [steps[match.step] for match in found] == [steps[index] for index in sorted(kept)]
    assert [match.similarity for match in found] == [1.0] * len(kept)


@pytest.mark.parametrize("split", ["fenced", "paper"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_line_ends_do_not_matter(split: StepSplit, line_end: str) -> None:
    cot = "Let me see what to do.\nOne.\n\nIt is simple.\n\nTwo numbers are added."
    reply = "Let me see what to do.\nOne.\n\nTwo numbers are added.".replace("\n", line_end)
    assert kept_by(reply, cot, split=split) == [0, 2]
    assert kept_by(reply, cot.replace("\n", "\r\n")) == [0, 2]


def test_a_trace_that_begins_and_ends_with_code_keeps_its_fences() -> None:
    assert kept_by(f"{STEPS[1]}\n\n{STEPS[5]}\n\n{STEPS[6]}\n") == [1, 5, 6]
    assert kept_by(STEPS[6]) == [6]
    cut = ["```python\nalpha = compute_alpha()", "beta = compute_beta()", "print(alpha)\n```"]
    assert kept_by(f"{cut[0]}\n\n{cut[2]}", "\n\n".join(cut), split="paper") == [0, 2]


def test_small_changes_are_snapped_back() -> None:
    found = read(f"{STEPS[0].replace('Okay, so', 'So')}\n\n{STEPS[5].upper()[:4]}{STEPS[5][4:]}")
    assert [match.step for match in found] == [0, 5]
    assert all(0.6 <= match.similarity < 1 for match in found)


def test_a_paraphrase_is_no_match_and_the_message_says_where() -> None:
    error = refused(f"{STEPS[0]}\n\nOne could reason that summation is trivially handled by built-in arithmetic.")
    assert error.reason == "no_match"
    assert error.detail.startswith("step 2 of the reply, 'One could reason that summation is trivially handled by buil…', is like no step")
    assert "0.6 is needed" in error.detail


def test_other_orders_are_no_match() -> None:
    error = refused(f"{STEPS[4]}\n\n{STEPS[2]}")
    assert error.reason == "no_match"
    assert "(step 3 is similar enough, but comes before)" in error.detail
    assert refused(f"{STEPS[6]}\n\n{STEPS[0]}").detail.endswith("comes after a step that matches the last one of the trace")


def test_merged_steps_count_as_the_more_similar_one() -> None:
    merged = f"{STEPS[4]} {STEPS[5]}"
    assert kept_by(f"{STEPS[0]}\n\n{merged}") == [0, 5]
    assert refused(f"{STEPS[0]} {STEPS[2]} {STEPS[4]}").reason == "no_match"


def test_chatter_is_not_a_step() -> None:
    assert refused(f"Here is the pruned trace:\n\n{COT}").reason == "no_match"
    assert refused(f"{COT}\n\nI removed everything that was not needed for it!").reason == "no_match"


def test_a_missing_delimiter_is_forgiven_but_not_a_second_pair() -> None:
    lines = delimiters("trace", COT)
    assert kept_by(f"{lines.begin}\n{STEPS[0]}") == [0]
    assert kept_by(f"  {STEPS[0]}\n{lines.end}\n") == [0]
    assert kept_by(f"{lines.begin}{STEPS[0]}{lines.end}") == [0]
    pair = f"{lines.begin}\n{STEPS[0]}\n{lines.end}"
    for text in (f"{pair}\n\n{pair}", f"{lines.end}\n{STEPS[0]}\n{lines.begin}"):
        assert refused(text).reason == "delimiters"


@pytest.mark.parametrize(
    ("text", "finish", "reason"), [(COT, "length", "cut_off"), ("", "stop", "empty"), (COT, "content_filter", "content_filter")]
)
def test_a_reply_that_did_not_end_well_is_invalid(text: str, finish: str, reason: str) -> None:
    assert refused(text, finish=finish).reason == reason


def test_nothing_between_delimiters_or_fences_is_empty() -> None:
    assert refused(enclosed("trace", COT).replace(COT, " \n\n")).reason == "empty"
    assert refused("```text\n\n```").reason == "empty"


@settings(max_examples=60)
@given(
    st.lists(st.text("abcde ", min_size=1, max_size=12).filter(str.strip), min_size=1, max_size=6),
    st.data(),
    st.sampled_from([0.3, 0.6, 0.8, 1.0]),
    splits,
)
def test_the_verdict_is_algorithm_1s_on_made_pairs(steps: list[str], data: st.DataObject, tau: float, split: StepSplit) -> None:
    others = st.text("abcde ", min_size=1, max_size=12).filter(str.strip)
    coarse = data.draw(st.lists(st.sampled_from(steps) | others, min_size=1, max_size=5))
    cot, text = "\n\n".join(steps), "\n\n".join(coarse)
    assert verdict(text, cot, split, tau) == algorithm_1(cot, text, split, tau)


def damaged(rng: random.Random, steps: Sequence[str], share: float) -> str:
    """The steps with some of their words left out, and now and then two of them swapped."""
    found = [" ".join(word for word in step.split(" ") if rng.random() >= share) for step in steps]
    if len(found) > 2 and rng.random() < 0.3:
        place = rng.randrange(len(found) - 1)
        found[place : place + 2] = found[place + 1], found[place]
    return "\n\n".join(step for step in found if step.strip())


@pytest.mark.parametrize("split", ["fenced", "paper"])
def test_the_verdict_is_algorithm_1s_on_real_pairs(split: StepSplit) -> None:
    rng = random.Random(5)
    verdicts = []
    for cot in real_traces(16, 2500):
        spans = split_steps(cot, split)
        for share in (0.0, 0.2, 0.45):
            kept = sorted(rng.sample(range(len(spans)), max(1, len(spans) // 4)))
            text = damaged(rng, [cot[spans[index].start : spans[index].end] for index in kept], share)
            verdicts.append(verdict(text, cot, split, 0.6))
            assert verdicts[-1] == algorithm_1(cot, text, split, 0.6)
    assert set(verdicts) == {True, False}


@pytest.mark.parametrize("split", ["fenced", "paper"])
def test_real_traces_come_back_verbatim(split: StepSplit) -> None:
    rng = random.Random(3)
    for cot in real_traces(40, 20_000):
        spans = split_steps(cot, split)
        kept = sorted(rng.sample(range(len(spans)), max(1, len(spans) // 3)))
        text = keep_steps(cot, spans, [index in kept for index in range(len(spans))])
        found = read(enclosed("trace", cot).replace(cot, text), cot, split=split)
        assert [match.similarity for match in found] == [1.0] * len(kept)
        found_steps = {match.step for match in found}
        pruned = keep_steps(cot, spans, [index in found_steps for index in range(len(spans))])
        assert [line.strip() for line in pruned.splitlines()] == [line.strip() for line in text.splitlines()]
