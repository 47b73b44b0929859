"""The controls that need no model: what stays of a trace at every budget."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asap.cli import run
from asap.lm.scorer import NoModel
from asap.lm.specs import load_tokens
from asap.prune.asap import Asap
from asap.prune.methods.functional import OPENERS, functional_class
from asap.prune.settings import AsapSettings
from asap.sample import Sample
from run_fixtures import prune, read_decisions, write_rows

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=25)


@cache
def counter() -> NoModel:
    return NoModel(load_tokens("bundled"))


def pruner(method: str, seed: int = 0) -> Asap:
    return Asap(counter(), AsapSettings(method=method, seed=seed, ratio=1.0))


def sample(texts: Sequence[str]) -> Sample:
    return Sample("a", "Why?", "\n\n".join(texts), "Because.")


def kept(method: str, texts: Sequence[str], ratio: float, seed: int = 0) -> list[int]:
    """The indices of the steps that stay."""
    [decision] = pruner(method, seed).decide([sample(texts)])
    return [step.index for step in decision.cut(ratio=ratio).steps if step.kept]  # type: ignore[union-attr]


def words(lengths: Sequence[int]) -> list[str]:
    return [" ".join([f"step{number}", *["word"] * length]) for number, length in enumerate(lengths)]


@settings(deadline=None, max_examples=40)
@given(lengths=LENGTHS, seed=st.integers(0, 50))
def test_a_random_block_is_one_run_of_steps_at_every_ratio_and_a_shorter_one_lies_in_a_longer(lengths: list[int], seed: int) -> None:
    before = set(range(len(lengths)))
    for ratio in (0.99, 0.9, 0.75, 0.6, 0.5, 0.4, 0.25, 0.1, 0.01):
        left = kept("random-block", words(lengths), ratio, seed)
        assert left == list(range(left[0], left[-1] + 1))
        assert before >= set(left)
        before = set(left)


def test_a_random_block_begins_anywhere_with_about_equal_chance() -> None:
    texts = words([(7 * number) % 11 for number in range(100)])
    [decision] = pruner("random-block").decide([sample(texts)])
    before = np.cumsum([0, *(step.tokens for step in decision.steps)])
    for ratio in (0.5, 0.2):
        starts = np.sort([before[kept("random-block", texts, ratio, seed)[0]] / (before[-1] * (1 - ratio)) for seed in range(200)])
        even = (np.arange(200) + 0.5) / 200
        assert np.abs(starts - even).max() < 1.63 / 200**0.5  # Kolmogorov and Smirnov at 1 %; the draws are always the same


@settings(deadline=None, max_examples=40)
@given(lengths=LENGTHS)
def test_the_ends_stay_and_the_middle_goes(lengths: list[int]) -> None:
    texts = words(lengths)
    [decision] = pruner("keep-ends").decide([sample(texts)])
    tokens = [counter().tokens.count(text) for text in texts]
    for ratio in (0.75, 0.5, 0.25):
        gone = sorted({*range(len(texts))} - {*kept("keep-ends", texts, ratio)})
        if gone:
            assert gone == list(range(gone[0], gone[-1] + 1))
            first, last = sum(tokens[: gone[0]]), sum(tokens[gone[-1] + 1 :])
            assert abs(first - last) <= 2 * max(tokens)
    assert all(step.score is not None for step in decision.steps)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("Wait, that's wrong.", "correction"),
        ("But wait, hold on. The sum is 5.", "correction"),
        ("Hmm.", "correction"),
        ("**Wait**, no.", "correction"),
        ("Wait, let me double-check.", "verification"),
        ("So let’s test it.", "verification"),
        ("Yes, that's correct.", "verification"),
        ("But what about an empty list?", "verification"),
        ("Alternatively, sort it.", "alternative"),
        ("Wait, maybe 3?", "alternative"),
        ("So the sum is 5.", None),
        ("Now, note the waiting time.", None),
        ("Noting this, another way is open.", None),
        ("Let me write the code.", None),
        ("```python\ncheck = 1\n```", None),
        ("testing = 3", "verification"),  # a word list cannot tell
        ("", None),
        ("?!", None),
    ],
)
def test_classes_of_steps(step: str, expected: str | None) -> None:
    assert functional_class(step) == expected


def test_no_opener_stands_in_two_classes() -> None:
    openers = [opener for of_class in OPENERS.values() for opener in of_class.split("|")]
    assert len(set(openers)) == len(openers)


def test_functional_steps_go_first_and_the_others_only_when_these_are_gone(tmp_path: Path) -> None:
    steps = ["First add them.", "Wait, no.", "So it is 5.", "Let me check: 2 + 3.", "Alternatively, count.", "The end is near."]
    source = write_rows(tmp_path / "rows.jsonl", [{"id": "a", "question": "2 + 3?", "cot": "\n\n".join(steps), "answer": "5"}])
    for ratio, others_stay in ((0.65, True), (0.2, False)):
        [decision] = read_decisions(prune(source, tmp_path / f"{ratio}", "--method", "functional-first", "--ratio", str(ratio)))
        left = {step["index"] for step in decision["steps"] if step["kept"]}
        beyond = [step for step in decision["steps"] if not step["kept"] and step["score"] >= 1]
        assert ({0, 2, 5} <= left) == others_stay == (not beyond)
        assert others_stay or not left & {1, 3, 4}


def test_controls_are_not_stored_beside_the_scores_of_a_run(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"id": "a", "question": "q", "cot": "one\n\ntwo\n\nthree", "answer": "5"}])
    out = prune(source, tmp_path / "out", "--all-scores", "--coarse", "none")
    assert set(read_decisions(out)[0]["steps"][0]["scores"]) == {"asap", "first-token-entropy", "mean-surprisal", "step-entropy"}
    for method in ("random-block", "keep-ends", "functional-first"):
        assert run(["cut", str(out), "--ratio", "0.5", "--method", method, "--out", str(tmp_path / method)]) == 0
        assert json.loads((tmp_path / method / "manifest.json").read_text())["settings"]["method"] == method
