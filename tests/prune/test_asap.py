"""The whole method on a tiny model with random weights, held to naive computations, and a few cases with the bundled model."""

import json
import pickle
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from prune_helpers import tokens_of

from asap.dataset import to_sample
from asap.errors import RowError, UsageError
from asap.lm.prompt_style import render_context
from asap.lm.scorer import Scorer
from asap.lm.scorer_transformers import HFScorer
from asap.prune.anchored import anchored_prompt
from asap.prune.asap import Asap
from asap.prune.coarse.align import Align, unaligned
from asap.prune.decision import Pruned, cut, decision_from_row
from asap.prune.decision.step_cut import StepCut
from asap.prune.decision.unit_cut import UnitCut
from asap.prune.decision.units import Units
from asap.prune.settings import AsapSettings
from asap.sample import Sample, make_sample
from asap.spans import Span
from asap.steps import STEP_SPLITS, join_steps, split_steps

STEPS = [
    "Okay, let's see. I need to sum the numbers in the list.",
    "Wait, no. That's not right: 12 + 30 = 42.",
    "1. Read the input: n = 100.",
    "    for i in range(len(numbers)):\n        total += numbers[i]",
    "```python\ndef solve(numbers):\n    total = 0\n\n    for number in numbers:\n        total += number\n```",
    "But wait.",
    "So the answer is 5.",
    "// a comment",
    "But wait.",
    "Therefore, the final code is below.",
    "你好，我们先看看这个问题。",
]
SAMPLE = make_sample("What is the sum?", "\n\n".join(STEPS), "The sum is 42.", row_id="s")
UNBROKEN = make_sample(
    "How many?",
    "First I check the list. Then the sum of two is 42. So it is.\nAgain: 17 and 3.14. Wait, what?\n"
    "```py\nx = 1\n\ny = 2\n```\n- It holds. Yes",
    "It is 42.",
    row_id="unbroken",
)
OTHERS = [
    make_sample("Sort it.", "\n\n".join(STEPS[5:2:-1]), "It is sorted.", row_id="o1"),
    make_sample("One step?", "Yes.", "Yes.", row_id="o2"),
    make_sample("What is the sum?", "\n \n\n".join(STEPS * 2), "The sum is 42.", row_id="o3", system="Be brief."),
]


def kept(decision: StepCut) -> list[int]:
    return [step.index for step in decision.steps if step.kept]


def surprisals(decision: StepCut) -> list[float | None]:
    return [step.surprisal for step in decision.steps]


def order(decision: StepCut) -> list[int]:
    return [step.index for step in sorted(decision.steps, key=lambda step: step.rank)]


def decided(scorer: Scorer, sample: Sample = SAMPLE, **settings: Any) -> StepCut:
    return Asap(scorer, AsapSettings(**settings)).prune(sample).decision


def naive_logprobs(scorer: Any, context: str, text: str, spans: Sequence[Span], depth: int) -> list[list[float]]:
    """Each token from a run of its own over everything before it: the first `depth` visible tokens of each span."""
    encoded = scorer.tokens.encode(context + text)
    ids = [int(token) for token in encoded.ids]
    lead = [] if scorer.tokens.bos_id is None else [scorer.tokens.bos_id]
    found = []
    for span in spans:
        visible = len(context) + span.end - len(text[span.start : span.end].lstrip())
        tokens = [n for n in range(len(ids)) if encoded.ends[n] > visible and encoded.starts[n] < len(context) + span.end][:depth]
        with torch.inference_mode():
            rows = [scorer.model(torch.tensor([lead + ids[:n]])).logits[0, -1].float() for n in tokens]
        found.append([torch.log_softmax(row, -1)[ids[n]].item() for n, row in zip(tokens, rows, strict=True)])
    return found


def naive_surprisals(scorer: Scorer, sample: Sample, left: Sequence[int], spans: Sequence[Span]) -> dict[int, float]:
    """Of the steps that are left, in the text that is left."""
    whole = len(left) == len(spans)
    text = sample.cot if whole else join_steps(sample.cot, [spans[index] for index in left])
    laid = list(spans) if whole else split_steps(text)
    context = render_context(scorer.tokens, sample.prompt, "raw")
    scores = naive_logprobs(scorer, context, text, laid, 1)
    return {index: -first for index, [first] in zip(left, scores, strict=True)}


def check_pruned(scorer: Scorer, pruned: Pruned, sample: Sample, budget: int | None) -> None:
    """Verbatim steps by index, exact counts, a budget that is met in real tokens or only protected steps left."""
    decision, cot = pruned.decision, pruned.sample.cot
    assert replace(pruned.sample, cot=sample.cot) == sample
    texts = [sample.cot[step.start : step.end] for step in decision.steps]
    assert [step.index for step in decision.steps] == list(range(len(texts)))
    left = [Span(decision.steps[index].start, decision.steps[index].end) for index in kept(decision)]
    assert cot == (sample.cot if len(kept(decision)) == len(texts) else join_steps(sample.cot, left))
    if all("\n\n" in sample.cot[one.end : other.start] for one, other in pairwise(decision.steps)):
        assert len(left) == len(texts) or cot == "\n\n".join(texts[index] for index in kept(decision))
    assert decision.tokens_before == scorer.tokens.count(sample.cot)
    assert decision.tokens_after == scorer.tokens.count(cot)
    assert kept(decision)
    if budget is not None:
        assert decision.tokens_after <= budget or len(kept(decision)) == decision.min_steps
    gone: set[int] = set()
    for step in sorted(decision.steps, key=lambda step: step.rank):
        gone.add(step.index)
        left = [Span(other.start, other.end) for other in decision.steps if other.index not in gone]
        assert step.tokens_left == scorer.tokens.count(join_steps(sample.cot, left))
        assert step.kept == (step.removed_by is None)


def test_the_tiny_models_keep_their_tokenizers(tiny: Scorer, tiny_with_bos: Scorer) -> None:
    for scorer, kind in ((tiny, "smollm"), (tiny_with_bos, "llama3")):
        for text in (SAMPLE.cot, "a\n\n1", "a.\n\nb", "100 <s>"):
            assert list(scorer.tokens.encode(text).ids) == list(tokens_of(kind).encode(text).ids)
    assert tiny.tokens.bos_id is None
    assert tiny_with_bos.tokens.bos_id is not None


@pytest.mark.parametrize("coarse", ["align", "none"])
@pytest.mark.parametrize("step_split", STEP_SPLITS)
@pytest.mark.parametrize("backfill", [False, True])
def test_kept_steps_are_verbatim_and_the_budget_is_met(tiny: Scorer, coarse: Any, step_split: Any, backfill: bool) -> None:
    for budget in (1, 60):
        pruner = Asap(tiny, AsapSettings(budget=budget, coarse=coarse, step_split=step_split, backfill=backfill))
        for sample in (SAMPLE, *OTHERS, UNBROKEN):
            check_pruned(tiny, pruner.prune(sample), sample, budget)


def test_a_ratio_is_met_too(tiny: Scorer) -> None:
    for ratio in (0.1, 0.5, 1.0):
        pruned = Asap(tiny, AsapSettings(budget=None, ratio=ratio)).prune(SAMPLE)
        check_pruned(tiny, pruned, SAMPLE, int(tiny.tokens.count(SAMPLE.cot) * ratio))


def test_pruning_what_was_pruned_changes_nothing(tiny: Scorer) -> None:
    for budget in (1, 40, 90):
        pruner = Asap(tiny, AsapSettings(budget=budget, coarse="none"))
        for sample in (SAMPLE, *OTHERS):
            once = pruner.prune(sample).sample
            again = pruner.prune(once)
            assert again.sample == once
            assert not again.decision.changed


def test_within_the_budget_and_without_stage_1_nothing_changes_but_every_step_is_scored(tiny: Scorer) -> None:
    sample = OTHERS[2]
    pruned = Asap(tiny, AsapSettings(coarse="none")).prune(sample)
    assert pruned.sample == sample
    assert not pruned.decision.changed
    assert all(step.surprisal is not None for step in pruned.decision.steps)


@pytest.mark.parametrize("name", ["tiny", "tiny_with_bos"])
@pytest.mark.parametrize("sample", [SAMPLE, OTHERS[2]], ids=["plain", "odd blank lines"])
def test_surprisals_equal_a_run_of_their_own_per_step(name: str, sample: Sample, request: pytest.FixtureRequest) -> None:
    scorer = request.getfixturevalue(name)
    spans = split_steps(sample.cot)
    naive = naive_surprisals(scorer, sample, range(len(spans)), spans)
    assert surprisals(decided(scorer, sample, coarse="none")) == pytest.approx(list(naive.values()), abs=1e-4)


@pytest.mark.parametrize("name", ["tiny", "tiny_with_bos"])
def test_alignments_equal_runs_of_their_own_and_decide_stage_1(name: str, request: pytest.FixtureRequest) -> None:
    scorer = request.getfixturevalue(name)
    sample = replace(SAMPLE, cot="\n\n".join(STEPS[1:6]))
    spans = split_steps(sample.cot)
    contexts = [render_context(scorer.tokens, prompt, "raw") for prompt in (sample.prompt, anchored_prompt(sample))]
    plain, anchored = [naive_logprobs(scorer, context, sample.cot, spans, 1024) for context in contexts]
    naive = [sum(seen) / len(seen) - sum(unseen) / len(unseen) for unseen, seen in zip(plain, anchored, strict=True)]
    decision = decided(scorer, sample, coarse_only=True, coarse=Align(0.6))
    found = [step.alignment for step in decision.steps]
    assert found == pytest.approx(naive, abs=1e-4)
    gone = [index for index, goes in enumerate(unaligned(naive, 0.6)) if goes]
    assert gone, "the case needs something to remove"
    assert [step.index for step in decision.steps if step.removed_by == "coarse"] == gone
    assert order(decision)[: len(gone)] == sorted(gone, key=lambda index: naive[index])
    assert decision.budget is None
    assert decision.tokens_coarse == decision.tokens_after == scorer.tokens.count(decision.apply(sample.cot))


def test_stage_2_scores_what_stage_1_left(tiny: Scorer) -> None:
    decision = decided(tiny, coarse=Align(0.6))
    left = [step.index for step in decision.steps if step.removed_by != "coarse"]
    assert len(left) < len(decision.steps)
    naive = naive_surprisals(tiny, SAMPLE, left, split_steps(SAMPLE.cot))
    assert {step.index: step.surprisal for step in decision.steps if step.index in left} == pytest.approx(naive, abs=1e-4)
    assert all(step.surprisal is None and step.score is None for step in decision.steps if step.index not in left)
    alone = surprisals(decided(tiny, coarse="none"))
    assert any(abs(naive[index] - (alone[index] or 0)) > 1e-3 for index in left), "the removed steps are no longer in the context"


def test_the_removal_order_is_ascending_surprisal(tiny: Scorer) -> None:
    decision = decided(tiny, coarse="none")
    scores = surprisals(decision)
    assert order(decision) == sorted(range(len(scores)), key=lambda index: (scores[index], index))
    assert [step.score for step in decision.steps] == scores


def test_a_batch_is_decided_like_its_samples_alone(tiny: Scorer) -> None:
    for settings in (AsapSettings(budget=40), AsapSettings(budget=40, coarse="none", rescore=3, backfill=True)):
        pruner = Asap(tiny, settings)
        samples = [SAMPLE, *OTHERS, SAMPLE]
        assert pruner.decide(samples) == [pruner.decide([sample])[0] for sample in samples]
    assert Asap(tiny).decide([]) == []


def test_a_row_that_fails_does_not_fail_the_others(tiny: Scorer) -> None:
    pruner = Asap(tiny, AsapSettings(budget=40))
    empty = Sample("e", "q", " \n\t", "a")
    first, error, last = pruner.decide([SAMPLE, empty, OTHERS[0]])
    assert [first, last] == pruner.decide([SAMPLE, OTHERS[0]])
    assert isinstance(error, RowError)
    assert (error.reason, error.row_id) == ("empty_think", "e")
    with pytest.raises(RowError, match="empty_think"):
        pruner.prune(empty)


def test_a_trace_of_one_step_stays_and_stage_1_does_not_ask_about_it(tiny: Scorer) -> None:
    pruned = Asap(tiny, AsapSettings(budget=1)).prune(OTHERS[1])
    assert pruned.sample == OTHERS[1]
    [step] = pruned.decision.steps
    assert step.alignment is None
    assert step.surprisal is not None
    assert (step.rank, step.tokens_left, step.kept) == (0, 0, True)


DESIGN = {"coarse", "id", "method", "tokens_before", "tokens_coarse", "tokens_after", "budget", "min_steps", "windows", "steps", "spans"}
DESIGN_STEPS = {"start", "end", "tokens", "alignment", "surprisal", "score", "rank", "tokens_left", "removed_by", "scores"}


def test_a_decision_goes_through_json_and_back(tiny: Scorer) -> None:
    decision = decided(tiny, budget=40, coarse=Align(0.5))
    assert {step.removed_by for step in decision.steps} == {None, "coarse", "fine"}
    row = json.loads(json.dumps(decision.as_row()))
    assert set(row) == DESIGN
    assert set(row["steps"]) == DESIGN_STEPS
    assert decision_from_row(row) == decision
    assert decision_from_row(row).apply(SAMPLE.cot) == decision.apply(SAMPLE.cot)
    spanned = UnitCut("a", "tokenskip", 9, 5, 5, 1, decision.steps, [Span(0, 5), Span(7, 9)], Units([9], [0.5], [1]), gamma=0.5)
    assert decision_from_row(json.loads(json.dumps(spanned.as_row()))) == spanned


def test_a_stored_decision_is_cut_to_any_budget_as_if_it_were_made_for_it(tiny: Scorer) -> None:
    stored = decision_from_row(json.loads(json.dumps(decided(tiny, budget=40).as_row())))
    for budget in (1, 20, 60, 100, 10_000):
        assert cut(stored, budget=budget) == decided(tiny, budget=budget)
    assert cut(stored, ratio=0.3) == decided(tiny, budget=None, ratio=0.3)
    assert cut(stored) == decided(tiny, coarse_only=True)


@pytest.mark.parametrize("rescore", [0, 2])
@pytest.mark.parametrize(("first", "last"), [(2, 0), (0, 3), (2, 3), (6, 6), (99, 0)])
def test_the_first_and_last_steps_are_kept_by_both_stages(tiny: Scorer, first: int, last: int, rescore: int) -> None:
    size = len(STEPS)
    protected = {index for index in range(size) if index < first or index >= size - last}
    pruner = Asap(tiny, AsapSettings(budget=1, coarse=Align(1.0), keep_first=first, keep_last=last, rescore=rescore))
    pruned = pruner.prune(SAMPLE)
    check_pruned(tiny, pruned, SAMPLE, 1)
    assert kept(pruned.decision) == sorted(protected)
    assert pruned.decision.min_steps == len(protected)
    assert kept(cut(pruned.decision, budget=2)) == sorted(protected)


def literal_rescored_order(scorer: Scorer, sample: Sample, every: int) -> list[int]:
    spans = split_steps(sample.cot)
    left, gone = list(range(len(spans))), list[int]()
    while True:
        scores = naive_surprisals(scorer, sample, left, spans)
        lowest = sorted(left, key=lambda index: scores[index])
        if len(left) <= every:
            return gone + lowest
        gone += lowest[:every]
        left = sorted(lowest[every:])


@pytest.mark.parametrize("every", [1, 2, 4, 11, 20])
def test_rescoring_equals_a_literal_recomputation(tiny: Scorer, every: int) -> None:
    assert order(decided(tiny, coarse="none", rescore=every)) == literal_rescored_order(tiny, SAMPLE, every)


def test_rescoring_makes_a_difference_and_stays_exact(tiny: Scorer) -> None:
    assert order(decided(tiny, coarse="none", rescore=1)) != order(decided(tiny, coarse="none"))
    pruned = Asap(tiny, AsapSettings(budget=40, rescore=1)).prune(SAMPLE)
    check_pruned(tiny, pruned, SAMPLE, 40)


@pytest.mark.parametrize("kind", ["qwen2", "t5", "far-reaching"])
def test_another_tokenizer_changes_the_counts_and_the_cut_only(tiny: Scorer, kind: str) -> None:
    other = tokens_of(kind)
    plain = decided(tiny, budget=50)
    pruned = Asap(tiny, AsapSettings(budget=50), tokens=other).prune(SAMPLE)
    for mine, theirs in zip(plain.steps, pruned.decision.steps, strict=True):
        assert (mine.start, mine.end, mine.alignment, mine.surprisal, mine.rank) == (
            theirs.start,
            theirs.end,
            theirs.alignment,
            theirs.surprisal,
            theirs.rank,
        )
    assert pruned.decision.tokens_before == other.count(SAMPLE.cot) != plain.tokens_before
    assert pruned.decision.tokens_after == other.count(pruned.sample.cot) <= 50
    left = set(range(len(STEPS)))
    for step in sorted(pruned.decision.steps, key=lambda step: step.rank):
        left.discard(step.index)
        spans = [Span(other.start, other.end) for other in pruned.decision.steps if other.index in left]
        assert step.tokens_left == other.count(join_steps(SAMPLE.cot, spans))


@pytest.mark.parametrize("megabytes", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_a_single_huge_step_goes_through(tiny: Scorer, megabytes: int) -> None:
    line = STEPS[0] * 10
    sample = make_sample("q", "\n".join([line] * (megabytes * 1_000_000 // len(line))), "a")
    decision = decided(tiny, sample, budget=100, scores="own" if megabytes == 1 else None)
    assert kept(decision) == [0]
    assert decision.tokens_before == decision.tokens_after > megabytes * 100_000


def test_a_trace_longer_than_the_context_is_scored_in_windows(tiny: Scorer) -> None:
    short_sighted = HFScorer(tiny.tokens.name.removeprefix("hf:"), device="cpu", context_tokens=100)
    assert tiny.tokens.count(SAMPLE.cot) > 100
    pruned = Asap(short_sighted, AsapSettings(budget=60)).prune(SAMPLE)
    check_pruned(tiny, pruned, SAMPLE, 60)
    assert pruned.decision.windows > 1
    assert decided(tiny).windows == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"budget": 0},
        {"budget": True},
        {"budget": 10, "ratio": 0.5},
        {"budget": None, "ratio": 2},
        {"coarse": "some"},
        {"step_split": "lines"},
        {"context": "none"},
        {"keep_first": -1},
        {"keep_last": -1},
        {"rescore": -1},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_a_usage_error(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        AsapSettings(**settings)


@pytest.mark.parametrize("share", [1.5, -0.1, float("nan"), "x", None])
def test_a_share_of_stage_1_that_is_none_is_a_usage_error(share: Any) -> None:
    with pytest.raises(UsageError, match="coarse_share is"):
        Align(share)


def test_a_chat_context_without_a_template_is_a_usage_error(tiny: Scorer) -> None:
    with pytest.raises(UsageError, match="chat template"):
        Asap(tiny, AsapSettings(context="chat")).prune(SAMPLE)


ROWS = [{"id": sample.id, "question": sample.question, "cot": sample.cot, "answer": sample.answer} for sample in (SAMPLE, *OTHERS[:2])]


def prune_row(row: dict[str, str], pruner: Asap) -> dict[str, str]:
    return {"cot": pruner.prune(to_sample(row).sample).sample.cot}


def test_a_pruner_works_inside_datasets_map(tiny: Scorer) -> None:
    datasets = pytest.importorskip("datasets", reason="needs the extra hub")
    datasets.disable_progress_bars()
    pruner = Asap(tiny, AsapSettings(budget=40))
    expected = [prune_row(row, pruner)["cot"] for row in ROWS]
    assert expected != [row["cot"] for row in ROWS]
    rows = datasets.Dataset.from_list(ROWS)
    assert rows.map(lambda row: prune_row(row, pruner))["cot"][:] == expected
    assert rows.map(prune_row, fn_kwargs={"pruner": pruner})["cot"][:] == expected


def test_a_pruner_has_the_same_fingerprint_before_and_after_it_worked(tiny: Scorer) -> None:
    fingerprint = pytest.importorskip("datasets.fingerprint", reason="needs the extra hub")
    pruner = Asap(tiny, AsapSettings(budget=40))
    before = fingerprint.Hasher.hash(pruner)
    pruner.prune(SAMPLE)
    assert fingerprint.Hasher.hash(pruner) == fingerprint.Hasher.hash(Asap(tiny, AsapSettings(budget=40))) == before
    assert fingerprint.Hasher.hash(Asap(tiny, AsapSettings(budget=41))) != before


def test_a_pickled_pruner_decides_the_same(tiny: Scorer) -> None:
    pruner = Asap(tiny, AsapSettings(budget=40))
    again = pickle.loads(pickle.dumps(pruner))
    assert again.decide(OTHERS[:2]) == pruner.decide(OTHERS[:2])


def test_the_bundled_model_meets_the_budget_with_surprisals_of_its_own(bundled: Scorer) -> None:
    sample = replace(SAMPLE, cot="\n\n".join(STEPS[:3]))
    spans = split_steps(sample.cot)
    pruned = Asap(bundled, AsapSettings(budget=40, coarse="none", context="raw")).prune(sample)
    check_pruned(bundled, pruned, sample, 40)
    assert pruned.decision.changed
    naive = naive_surprisals(bundled, sample, range(len(spans)), spans)
    assert surprisals(pruned.decision) == pytest.approx(list(naive.values()), abs=1e-4)


def test_the_bundled_model_prunes_by_default_settings_in_its_chat_template(bundled: Scorer) -> None:
    pruner = Asap(bundled, AsapSettings(budget=40))
    assert pruner.context == "chat"
    check_pruned(bundled, pruner.prune(OTHERS[0]), OTHERS[0], 40)
