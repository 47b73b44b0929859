"""What each method that needs a model makes of a trace: by hand with a language of four words, and as plain forward passes give it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_helpers import TABLE, TRACE

from asap.lm.scorer_transformers import HFScorer
from asap.prune.asap import Asap
from asap.prune.methods import METHODS
from asap.prune.methods.method import needs_model
from asap.prune.settings import AsapSettings
from asap.sample import Sample

BY_TABLE = Sample("a", "sun", "sun rain\n\nwind wind\n\nrain sun", "rain rain")  # the question's think tag is read as <s>


def mean(*probabilities: float) -> float:
    return -sum(map(math.log, probabilities)) / len(probabilities)


def entropy(word: str) -> float:
    return -sum(p * math.log(p) for p in TABLE[word].values())


EXPECTED = {
    "asap": [mean(0.5), mean(0.125), mean(0.01)],
    "first-token-entropy": [entropy("<s>"), entropy("rain"), entropy("wind")],
    "mean-surprisal": [mean(0.5, 0.8), mean(0.125, 0.97), mean(0.01, 0.25)],
    "step-entropy": [entropy("<s>") + entropy("sun"), entropy("rain") + entropy("wind"), entropy("wind") + entropy("rain")],
    "spirit": [mean(0.15, 0.97, 0.01, 0.25), mean(0.5, 0.8, 0.5, 0.25), mean(0.5, 0.8, 0.125, 0.97)],
    # only the word before counts in this language, and before the trace and the answer stands a tag
    "alignment": [0.0, 0.0, 0.0],
    "leave-one-out": [0.0, 0.0, 0.0],
    "cut-after-answer": [0.0, -1.0, -2.0],  # so the answer is as likely after the first step as at the end
    "coverage": [-2.0, -1.0, 0.0],  # and no step adds to it: the later one first
}


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if needs_model(method)])
def test_scores_of_a_language_of_four_words(method: str, table_folder: Path) -> None:
    settings = AsapSettings(method=method, budget=1000, coarse="none")
    decision = Asap(HFScorer(str(table_folder), device="cpu"), settings).prune(BY_TABLE).decision
    assert [step.score for step in decision.steps] == pytest.approx(EXPECTED[method], abs=1e-4)


def surprisal(scorer: Any, before: str, text: str) -> tuple[float, int]:
    """The summed surprisal of the tokens of a text behind another, and their number."""
    tokens, first = scorer.tokens.input_ids(before + text), len(scorer.tokens.input_ids(before))
    assert tokens[:first] == scorer.tokens.input_ids(before)  # no token stands across the border
    with torch.inference_mode():
        table = torch.log_softmax(scorer.model(torch.tensor([tokens])).logits[0].double(), dim=-1)
    return -sum(float(table[place - 1, tokens[place]]) for place in range(first, len(tokens))), len(tokens) - first


def test_spirit_and_leave_one_out_are_what_plain_forward_passes_give(scorer: Callable[..., HFScorer]) -> None:
    model = scorer("r1", "llama")
    sample = Sample("a", "Add up the numbers.", TRACE, "The sum is `sum(numbers)`.")
    scores = {}
    for method in ("spirit", "leave-one-out"):
        decision = Asap(model, AsapSettings(method=method, budget=10_000, context="raw")).prune(sample).decision
        scores[method] = [step.score for step in decision.steps]
        steps = [TRACE[step.start : step.end] for step in decision.steps]
    context, tag = f"{sample.question}\n<think>\n", "\n</think>\n\n"
    whole, _ = surprisal(model, context + "\n\n".join(steps) + tag, sample.answer)
    for index in range(len(steps)):
        left = "\n\n".join(step for place, step in enumerate(steps) if place != index)
        nats, count = surprisal(model, context, left)
        assert scores["spirit"][index] == pytest.approx(nats / count, abs=1e-4)
        assert scores["leave-one-out"][index] == pytest.approx(surprisal(model, context + left + tag, sample.answer)[0] - whole, abs=1e-3)
    assert len({round(score or 0, 3) for score in scores["leave-one-out"]}) > 1
