"""The removal order and the cut are held to a literal Algorithm 2 that tokenises anew after each removal."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prune_helpers import CORPUS, laid_out, real_traces, recounted_anew, steps, tokens_of

from asap.errors import UsageError
from asap.lm.tokens import TokenCounter
from asap.prune.decision import cut
from asap.prune.decision.backfill import backfilled
from asap.prune.decision.step_cut import CoarseReport, StepCut, StepDecision
from asap.prune.fine.joined_tokens import removal_tokens
from asap.prune.fine.removal import check_budget, removal_order, token_budget
from asap.spans import Span
from asap.steps import join_steps, split_steps

SENTENCES = [line for line in CORPUS.split("\n") if line.strip()]
TEXTS = ["Okay.", "So we sort it.", "Wait, no.", "The answer is 42.", "Wait, no.", "Let me check: heap[0] is 1.", "Yes."]
SCORES = [0.5, 2.0, 1.0, 3.0, 1.0, 0.1, 2.0]


def algorithm_2(text: str, spans: Sequence[Span], scores: Sequence[float], budget: int, tokens: TokenCounter) -> list[int]:
    """The paper's lines 4 to 21 on indices; one step stays, whatever it costs."""
    if tokens.count(text) <= budget:
        return list(range(len(spans)))
    steps_to_prune = sorted(range(len(spans)), key=lambda index: scores[index])
    s_current = list(range(len(spans)))
    for s_prune in steps_to_prune:
        if len(s_current) == 1:
            break
        s_temp = [index for index in s_current if index != s_prune]
        c_temp = join_steps(text, [spans[index] for index in s_temp])
        s_current = s_temp
        if tokens.count(c_temp) <= budget:
            break
    return s_current


def decided(
    text: str, spans: Sequence[Span], scores: Sequence[float], tokens: TokenCounter, *, coarse: Sequence[int] = (), min_steps: int = 1
) -> StepCut:
    """The uncut decision about a text; the steps `coarse` were removed by stage 1 in this order."""
    order = [*coarse, *(index for index in removal_order(scores) if index not in coarse)]
    lengths = removal_tokens(text, spans, order, tokens)
    rank = {index: place for place, index in enumerate(order)}
    tokens_before = tokens.count(text)
    return StepCut(
        id="t",
        method="asap",
        tokens_before=tokens_before,
        tokens_coarse=lengths.tokens_left[len(coarse) - 1] if coarse else tokens_before,
        tokens_after=0,
        budget=None,
        min_steps=min_steps,
        windows=1,
        coarse=CoarseReport("align" if coarse else "none"),
        steps=[
            StepDecision(
                index=index,
                start=span.start,
                end=span.end,
                tokens=lengths.step_tokens[index],
                match=None,
                alignment=None,
                surprisal=None,
                score=scores[index],
                rank=rank[index],
                tokens_left=lengths.tokens_left[rank[index]],
                kept=index not in coarse,
                removed_by="coarse" if index in coarse else None,
            )
            for index, span in enumerate(spans)
        ],
    )


def kept(decision: StepCut) -> list[int]:
    return [step.index for step in decision.steps if step.kept]


def check_counts(decision: StepCut, text: str, tokens: TokenCounter) -> None:
    assert decision.tokens_after == tokens.count(decision.apply(text))


def check_parity(text: str, spans: Sequence[Span], scores: Sequence[float], tokens: TokenCounter, budgets: Sequence[int]) -> None:
    decision = decided(text, spans, scores, tokens)
    for budget in budgets:
        pruned = cut(decision, budget=budget)
        assert kept(pruned) == algorithm_2(text, spans, scores, budget, tokens)
        check_counts(pruned, text, tokens)
        assert pruned.budget == budget


traces = st.lists(st.tuples(steps, st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0])), min_size=1, max_size=10)


def laid(trace: Sequence[tuple[str, float]]) -> tuple[str, list[Span], list[float]]:
    text, spans = laid_out([step for step, _ in trace])
    return text, spans, [score for _, score in trace]


@pytest.mark.parametrize("kind", ["qwen2", "smollm", "mistral", "t5", "far-reaching"])
def test_every_budget_cuts_where_algorithm_2_cuts(kind: str) -> None:
    text, spans = laid_out(TEXTS)
    tokens = tokens_of(kind)
    check_parity(text, spans, SCORES, tokens, range(1, tokens.count(text) + 2))


@pytest.mark.parametrize("kind", ["qwen2", "smollm", "far-reaching"])
@given(traces, st.lists(st.integers(1, 200), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_any_trace_is_cut_where_algorithm_2_cuts(kind: str, trace: list[tuple[str, float]], budgets: list[int]) -> None:
    text, spans, scores = laid(trace)
    check_parity(text, spans, scores, tokens_of(kind), budgets)


@pytest.mark.parametrize("split", ["fenced", "paper"])
def test_real_traces_are_cut_where_algorithm_2_cuts(split: Any) -> None:
    rng = random.Random(1)
    tokens = tokens_of("smollm")
    for text in real_traces(4, longest=9_000):
        spans = split_steps(text, split)
        scores = [rng.choice([rng.random(), 0.5]) for _ in spans]
        total = tokens.count(text)
        decision = decided(text, spans, scores, tokens)
        assert removal_tokens(text, spans, removal_order(scores), tokens).tokens_left == recounted_anew(
            text, spans, removal_order(scores), tokens
        )
        for budget in (total // 2, total // 10):
            pruned = cut(decision, budget=budget)
            assert kept(pruned) == algorithm_2(text, spans, scores, budget, tokens)
            check_counts(pruned, text, tokens)


def test_of_equal_scores_the_earlier_step_goes_first() -> None:
    assert removal_order([1.0, 0.0, 1.0, 0.0, 0.5]) == [1, 3, 4, 0, 2]
    assert removal_order([7.0] * 4) == [0, 1, 2, 3]
    assert removal_order([-0.0, 0.0]) == [0, 1]
    assert removal_order([]) == []


def test_of_equal_texts_the_one_with_the_lower_score_goes() -> None:
    """The paper's scripts remove by text, which takes the first of equal steps whatever their scores are."""
    text, spans = laid_out(["But wait.", "So it is 5.", "But wait.", "Yes."])
    tokens = tokens_of("qwen2")
    pruned = cut(decided(text, spans, [2.0, 3.0, 0.1, 2.5], tokens), budget=tokens.count(text) - 1)
    assert kept(pruned) == [0, 1, 3]
    assert pruned.apply(text) == "But wait.\n\nSo it is 5.\n\nYes."


def test_a_trace_within_its_budget_stays_byte_for_byte() -> None:
    tokens = tokens_of("qwen2")
    for text in ("  Okay.\n \t\n\n\nSo\r\n\r\nthis.  \n\n\n```\na\n\nb\n```", "one"):
        spans = split_steps(text)
        decision = cut(decided(text, spans, [0.0] * len(spans), tokens), budget=tokens.count(text))
        assert not decision.changed
        assert decision.apply(text) == text
        assert decision.tokens_after == decision.tokens_before == tokens.count(text)


def test_what_is_over_the_budget_only_through_extra_blank_lines_still_meets_it() -> None:
    text = "Okay." + "\n \t" * 40 + "\n\nSo it is 5.\n\nYes."
    spans = split_steps(text)
    tokens = tokens_of("gpt2")
    budget = tokens.count(join_steps(text, spans))
    assert budget < tokens.count(text)
    decision = cut(decided(text, spans, [1.0, 2.0, 0.0], tokens), budget=budget)
    assert kept(decision) == [0, 1]
    refilled = backfilled(decision, text, tokens)
    assert refilled.changed, "all steps back would be the original, which is over the budget"
    check_counts(refilled, text, tokens)
    assert refilled.tokens_after <= budget


def test_a_budget_of_one_token_leaves_the_highest_score() -> None:
    text, spans = laid_out(TEXTS)
    tokens = tokens_of("qwen2")
    decision = cut(decided(text, spans, SCORES, tokens), budget=1)
    assert kept(decision) == [3]
    check_counts(decision, text, tokens)
    assert decision.tokens_after > 1


def test_a_ratio_is_a_share_of_the_original_trace() -> None:
    text, spans = laid_out(TEXTS)
    tokens = tokens_of("qwen2")
    decision = decided(text, spans, SCORES, tokens, coarse=[1, 0])
    for ratio in (0.01, 0.3, 0.5, 0.99, 1.0, 1):
        pruned = cut(decision, ratio=ratio)
        assert pruned.budget == max(1, int(tokens.count(text) * ratio))
        assert pruned == cut(decision, budget=pruned.budget)


def test_a_ratio_is_rounded_down_to_at_least_one_token() -> None:
    assert token_budget(101, budget=None, ratio=0.5) == 50
    assert token_budget(3, budget=None, ratio=0.1) == 1
    assert token_budget(7, budget=None, ratio=1.0) == 7
    assert token_budget(7, budget=5, ratio=None) == 5
    assert token_budget(7, budget=None, ratio=None) is None


@pytest.mark.parametrize(
    "limits",
    [
        {"budget": 10, "ratio": 0.5},
        {"budget": 0},
        {"budget": -1},
        {"budget": True},
        {"budget": 10.5},
        {"budget": "10"},
        {"ratio": 0},
        {"ratio": 0.0},
        {"ratio": -0.5},
        {"ratio": 1.5},
        {"ratio": True},
        {"ratio": "0.5"},
        {"ratio": float("nan")},
        {"ratio": float("inf")},
    ],
    ids=str,
)
def test_a_budget_or_ratio_that_makes_no_sense_is_a_usage_error(limits: dict[str, Any]) -> None:
    text, spans = laid_out(TEXTS)
    decision = decided(text, spans, SCORES, tokens_of("qwen2"))
    with pytest.raises(UsageError, match=r"budget|ratio"):
        cut(decision, **limits)
    with pytest.raises(UsageError):
        check_budget(**{"budget": None, "ratio": None, **limits})


@given(traces, st.integers(1, 150), st.integers(1, 150), st.sets(st.integers(0, 9), max_size=5), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_a_smaller_budget_keeps_a_subset_and_the_last_cut_alone_counts(
    trace: list[tuple[str, float]], one: int, other: int, removed: set[int], min_steps: int
) -> None:
    text, spans, scores = laid(trace)
    coarse = [index for index in removed if index < len(spans)][: len(spans) - 1]
    tokens = tokens_of("llama3")
    decision = decided(text, spans, scores, tokens, coarse=coarse, min_steps=min_steps)
    small, large = cut(decision, budget=min(one, other)), cut(decision, budget=max(one, other))
    assert set(kept(small)) <= set(kept(large)) <= set(range(len(spans))) - set(coarse)
    assert cut(large, budget=small.budget) == small == cut(small, budget=small.budget)
    assert cut(small, budget=large.budget) == large
    for pruned in (small, large):
        check_counts(pruned, text, tokens)
        assert pruned.budget is not None
        floor = min(min_steps, len(spans) - len(coarse))
        assert len(kept(pruned)) >= floor
        assert pruned.tokens_after <= pruned.budget or len(kept(pruned)) == floor


def test_without_budget_and_ratio_only_stage_1_removes() -> None:
    text, spans = laid_out(TEXTS)
    tokens = tokens_of("qwen2")
    decision = cut(cut(decided(text, spans, SCORES, tokens, coarse=[4, 0]), budget=1))
    assert kept(decision) == [1, 2, 3, 5, 6]
    assert decision.budget is None
    assert [step.removed_by for step in decision.steps] == ["coarse", None, None, None, "coarse", None, None]
    assert decision.tokens_after == decision.tokens_coarse
    check_counts(decision, text, tokens)


def test_min_steps_stay_at_any_budget() -> None:
    text, spans = laid_out(TEXTS)
    for min_steps in range(1, 8):
        decision = cut(decided(text, spans, SCORES, tokens_of("qwen2"), coarse=[0], min_steps=min_steps), budget=1)
        assert len(kept(decision)) == min(min_steps, 6)


def check_backfill(decision: StepCut, text: str, tokens: TokenCounter) -> StepCut:
    """Only adds, fits, is a literal highest-score-first refill, and no removed step would still fit."""
    assert decision.budget is not None
    filled = backfilled(decision, text, tokens)
    spans = [Span(step.start, step.end) for step in decision.steps]

    def cost(indices: set[int]) -> int:
        return tokens.count(text if len(indices) == len(spans) else join_steps(text, [spans[index] for index in sorted(indices)]))

    literal = set(kept(decision))
    for step in sorted(decision.steps, key=lambda step: -step.rank):
        if step.removed_by == "fine" and cost(literal | {step.index}) <= decision.budget:
            literal.add(step.index)
    assert kept(filled) == sorted(literal)
    check_counts(filled, text, tokens)
    assert replace(filled, steps=decision.steps, tokens_after=decision.tokens_after) == decision
    for before, after in zip(decision.steps, filled.steps, strict=True):
        assert after.kept == (after.removed_by is None)
        assert after == replace(before, kept=after.kept, removed_by=after.removed_by)
    return filled


@pytest.mark.parametrize("kind", ["qwen2", "smollm", "t5", "far-reaching"])
@given(traces, st.integers(1, 150), st.sets(st.integers(0, 9), max_size=4))
@settings(max_examples=60, deadline=None)
def test_backfill_adds_what_still_fits_highest_score_first(
    kind: str, trace: list[tuple[str, float]], budget: int, removed: set[int]
) -> None:
    text, spans, scores = laid(trace)
    tokens = tokens_of(kind)
    coarse = [index for index in removed if index < len(spans)][: len(spans) - 1]
    decision = cut(decided(text, spans, scores, tokens, coarse=coarse), budget=budget)
    filled = check_backfill(decision, text, tokens)
    assert filled.tokens_after <= max(budget, decision.tokens_after)
    if kind in ("qwen2", "smollm"):  # more steps never cost fewer tokens there, so one pass is enough
        assert kept(check_backfill(filled, text, tokens)) == kept(filled)


def test_backfill_of_a_hand_made_case() -> None:
    """The long step overshoots the budget; the short one removed before it fits again."""
    text, spans = laid_out(["Okay.", "So " + "we sort it " * 30 + "once.", "Wait, no.", "The answer is 42."])
    tokens = tokens_of("qwen2")
    decision = cut(decided(text, spans, [0.1, 0.3, 0.2, 9.0], tokens), budget=tokens.count("Okay.\n\nThe answer is 42."))
    assert kept(decision) == [3]
    assert kept(backfilled(decision, text, tokens)) == [0, 3]
    assert backfilled(cut(decision), text, tokens) == cut(decision), "no budget, nothing to fill"


@pytest.mark.parametrize("split", ["fenced", "paper"])
def test_backfill_is_exact_on_real_traces(split: Any) -> None:
    rng = random.Random(2)
    tokens = tokens_of("llama3")
    for text in real_traces(3, longest=8_000):
        spans = split_steps(text, split)
        decision = cut(decided(text, spans, [rng.random() for _ in spans], tokens), ratio=0.3)
        check_backfill(decision, text, tokens)


def test_a_tokenizer_with_far_reaching_tokens_still_gets_exact_numbers() -> None:
    rng = random.Random(3)
    tokens = tokens_of("far-reaching")
    for _ in range(30):
        text, spans = laid_out(rng.choices(SENTENCES, k=12))
        order = rng.sample(range(12), 12)
        lengths = removal_tokens(text, spans, order, tokens)
        assert lengths.tokens_left == recounted_anew(text, spans, order, tokens)
        assert lengths.tokens_joined == tokens.count(text) == sum(lengths.step_tokens)


def test_removal_tokens_end_with_what_an_empty_text_costs() -> None:
    for kind in ("qwen2", "llama2", "mistral", "t5", "bert", "roberta"):
        text, spans = laid_out(["Okay.", "So."])
        assert removal_tokens(text, spans, [1, 0], tokens_of(kind)).tokens_left[-1] == tokens_of(kind).count("") == 0
