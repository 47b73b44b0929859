"""Faithful and legacy modes reproduce what the original packages returned, character for character (see the record_*.py scripts)."""

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_models import save_model
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast
from transformers.utils import logging

from asap.lm.classifier import TokenClassifier
from asap.lm.scorer import Scorer
from asap.lm.specs import load_scorer
from asap.lm.tokens import TokenCounter
from asap.prune.decision import Units
from asap.prune.llmlingua2_legacy import legacy_units
from asap.prune.selective_context import SelectiveContext
from asap.prune.token_level import settled
from asap.prune.units import whole
from asap.sample import Sample
from asap.steps import Span, split_steps

HERE = Path(__file__).parent
LINGUA: dict[str, Any] = json.loads((HERE / "llmlingua.json").read_text("utf-8"))
SELECTIVE: dict[str, Any] = json.loads((HERE / "selective_context.json").read_text("utf-8"))
LEVELS = {"phrase": "phrase", "sent": "sentence", "token": "token"}


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TokenClassifier]:
    logging.disable_progress_bar()
    folders = {kind: save_model(kind, made, tmp_path_factory.mktemp(kind)) for kind, made in LINGUA["tokenizers"].items()}
    return {kind: TokenClassifier(str(folder), device="cpu") for kind, folder in folders.items()}


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    logging.disable_progress_bar()
    return load_scorer(f"hf:{save_model('gpt2', SELECTIVE['tokenizer'], tmp_path_factory.mktemp('gpt2'))}", device="cpu")


@pytest.fixture(scope="module")
def counter() -> TokenCounter:
    """The tokenizer that the recorded package counted words with."""
    return TokenCounter(PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(LINGUA["counting"]))), "counting")


class RecordedPhrases:
    """The phrases that spaCy found when the record was made."""

    identity = "recorded"

    def __call__(self, text: str) -> list[Span]:
        return [Span(*span) for span in SELECTIVE["phrases"][text]]


def cut_to(text: str, units: Units, ratio: float, tokens: TokenCounter) -> str:
    """The text at a ratio, the way that a run takes."""
    sample = Sample("a", "q", text, "a")
    decision = whole(sample, "llmlingua2", units, split_steps(text), tokens, 1)
    return settled(decision, sample, lambda: tokens, ratio=ratio).apply(text)


@pytest.mark.parametrize("keep_digits", [False, True], ids=["plain", "digits stay"])
@pytest.mark.parametrize("which", LINGUA["texts"])
@pytest.mark.parametrize("kind", LINGUA["tokenizers"])
def test_legacy_is_llmlingua(
    classifiers: dict[str, TokenClassifier], counter: TokenCounter, kind: str, which: str, keep_digits: bool
) -> None:
    text = LINGUA["texts"][which]
    units = legacy_units(text, classifiers[kind], counter, keep_digits=keep_digits)
    assert which == "short" or len(units.chunks or []) > 1  # the long text is longer than a chunk
    runs = [run for run in LINGUA["runs"] if (run["model"], run["text"], run["keep_digits"]) == (kind, which, keep_digits)]
    assert len(runs) == 5
    for run in runs:
        assert cut_to(text, units, run["rate"], counter) == run["result"], run["rate"]


@pytest.mark.parametrize("level", LEVELS)
def test_faithful_is_selective_context(scorer: Scorer, level: str) -> None:
    text = SELECTIVE["text"]
    units, windows = SelectiveContext(scorer, RecordedPhrases(), unit=LEVELS[level], faithful=True).units(text)  # type: ignore[arg-type]
    assert windows == 1
    runs = [run for run in SELECTIVE["runs"] if run["level"] == level]
    assert len(runs) == 5
    for run in runs:
        assert cut_to(text, units, 1 - run["reduce"], scorer.tokens) == run["result"], run["reduce"]


def test_self_information_is_that_of_the_original(scorer: Scorer) -> None:
    sentence, texts, values = SELECTIVE["information"]
    units, _ = SelectiveContext(scorer, RecordedPhrases(), unit="token", faithful=True).units(sentence)
    assert units.texts == texts
    assert units.scores == pytest.approx(values, abs=1e-5)


def test_units_of_both_lie_in_the_original_text(scorer: Scorer, classifiers: dict[str, TokenClassifier], counter: TokenCounter) -> None:
    """Spans point at the place that a unit comes from, whatever white space it is written with."""
    methods = [SelectiveContext(scorer, RecordedPhrases(), unit=unit, faithful=True) for unit in LEVELS.values()]  # type: ignore[arg-type]
    made = [(SELECTIVE["text"], method.units(SELECTIVE["text"])[0]) for method in methods]
    made += [(text, legacy_units(text, classifiers["bert"], counter)) for text in LINGUA["texts"].values()]
    for text, units in made:
        assert sum(units.lengths) == len(text)
        place = 0
        for length, written in zip(units.lengths, units.texts or [], strict=True):
            assert " ".join(text[place : place + length].split()).endswith(written.strip())  # what the tokenizer does not know is left out
            place += length
