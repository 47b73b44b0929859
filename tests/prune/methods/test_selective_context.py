"""Selective Context: self-information by hand, sentences and phrases, long sentences, odd characters."""

import math
import re
from collections.abc import Sequence
from importlib.metadata import version
from itertools import pairwise
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prune_helpers import steps, tokens_of

from asap.errors import MissingExtra, RowError
from asap.install import install_command
from asap.lm.scorer import NoModel, Scored, Scorer, ScoreRequest, TokenScores
from asap.lm.specs import load_scorer
from asap.lm.tokens import TokenCounter
from asap.prune.asap import Asap
from asap.prune.decision.units import Laid, Units
from asap.prune.methods.phrases import (
    SPACY_MODELS,
    PhraseChunker,
    Phrases,
    RegexChunker,
    SpacyChunker,
    load_chunker,
    sentences,
    words,
)
from asap.prune.methods.selective_context import SelectiveContext, Unit
from asap.prune.settings import AsapSettings
from asap.prune.together import together
from asap.sample import Sample
from asap.spans import Span
from asap.workers.local import description

texts = st.lists(steps, min_size=1, max_size=5).map("\n\n".join).filter(str.strip)
UNITS: tuple[Unit, ...] = ("phrase", "sentence", "token")


class Table(NoModel):
    """A language model that knows each word's probability, whatever stands before it."""

    def __init__(self, table: dict[str, float], tokens: TokenCounter) -> None:
        super().__init__(tokens)
        self.table = table
        self.identity = {"spec": "table", "model": "table", "revision": "0", "dtype": "none"}
        self.asked: list[ScoreRequest] = []

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        self.asked += requests
        return [self._scored(request.text) for request in requests]

    def _scored(self, text: str) -> Scored:
        starts, ends = words(text)
        logprobs = np.array([math.log(self.table.get(text[start:end], 0.5)) for start, end in zip(starts, ends, strict=True)])
        return Scored([TokenScores(starts, ends, logprobs, np.full(len(starts), np.nan))], 1)


def read_units(scorer: Scorer | Table, text: str, unit: Unit = "phrase") -> tuple[Units, int]:
    [found] = together([SelectiveContext(unit).units(text, scorer.tokens, RegexChunker())], cast(Scorer, scorer))
    if isinstance(found, RowError):
        raise found
    return found


def word_spans(text: str) -> list[Span]:
    return [Span(*both) for both in np.array(words(text)).T.tolist()]


def pieces(text: str, lengths: list[int]) -> list[str]:
    laid = Laid.of(text, lengths)
    return [text[start:end] for start, end in zip(laid.starts.tolist(), laid.ends.tolist(), strict=True)]


def test_self_information_by_hand() -> None:
    text = "The sum is six. Check\nthe list!"
    table = Table({"The": 0.25, "sum": 1.0, "six": 0.125, ".": 1.0, "list": 0.0625, "!": 1.0}, tokens_of("smollm"))
    bits = math.log(2)
    units, windows = read_units(table, text)
    assert windows == 1
    assert pieces(text, units.lengths) == ["The sum", "is", "six", ".", "Check", "the list", "!"]
    assert units.scores == pytest.approx([bits, bits, 3 * bits, 0, bits, 2.5 * bits, 0], abs=1e-6)  # means over tokens
    units, _ = read_units(table, text, "sentence")
    assert pieces(text, units.lengths) == ["The sum is six.", "Check\nthe list!"]
    assert units.scores == pytest.approx([6 / 5 * bits, 6 / 4 * bits], abs=1e-6)
    units, _ = read_units(table, text, "token")
    assert pieces(text, units.lengths) == ["The", "sum", "is", "six", ".", "Check", "the", "list", "!"]


def test_sentences_are_read_alone_after_a_beginning_of_text() -> None:
    table = Table({}, tokens_of("llama3"))
    read_units(table, "One. Two?\n\nThree")
    assert [(request.context, request.text) for request in table.asked] == [("", "One."), ("", "Two?"), ("", "Three")]
    table = Table({}, tokens_of("smollm"))
    table.tokens.hf.eos_token = "<|end|>"
    try:
        read_units(table, "One.")
    finally:
        table.tokens.hf.eos_token = None
    assert table.asked[0].context == "<|end|>"  # as the original does with GPT-2, which adds none by itself


def test_lowest_units_go_and_white_space_stays() -> None:
    text = "Okay.\n\nThe sum is six.\n    return x"
    table = Table({"six": 0.001, "sum": 0.002, "return": 0.003, "x": 0.001}, tokens_of("smollm"))
    asked = AsapSettings(method=SelectiveContext(phrases="regex"), ratio=0.7, context="raw")
    decision = Asap(cast(Scorer, table), asked).prune(Sample("a", "q", text, "x")).decision
    assert decision.apply(text) == "The sum six.\n    return x"
    assert decision.coarse.by == "none"


@settings(max_examples=40, deadline=None)
@given(texts, st.sampled_from(UNITS))
def test_units_tile_any_text(text: str, unit: Unit) -> None:
    units, _ = read_units(Table({}, tokens_of("smollm")), text, unit)
    assert sum(units.lengths) == len(text)
    assert min(units.lengths) > 0
    assert len(units.lengths) == len(units.scores)
    assert all(piece.strip() for piece in pieces(text, units.lengths))


@pytest.mark.parametrize("unit", UNITS)
def test_odd_characters_and_long_sentences_do_not_break_a_real_scorer(tiny: Scorer, unit: Unit) -> None:
    """The original package fails at both: tokens inside of a character, and sentences longer than the model's context."""
    short = load_scorer(tiny.identity["spec"], device="cpu")
    short.context_tokens = 64
    text = "你好 🙂🙂 naïve é. " + "word and more " * 60 + "\n\nYes."
    units, windows = read_units(short, text, unit)
    assert windows > 1
    assert sum(units.lengths) == len(text)
    assert all(score is not None for score in units.scores)
    assert "�" not in "".join(pieces(text, units.lengths))


@settings(max_examples=20, deadline=None)
@given(texts, st.sampled_from(UNITS))
def test_a_real_scorer_takes_any_text(tiny: Scorer, text: str, unit: Unit) -> None:
    asked = AsapSettings(method=SelectiveContext(unit, "regex"), ratio=0.5)
    decision = Asap(tiny, asked).decide([Sample("a", "q", text, "x")])[0]
    assert not isinstance(decision, RowError), decision
    assert decision.tokens_after == tiny.tokens.count(decision.apply(text))


@settings(max_examples=60, deadline=None)
@given(texts)
def test_phrases_cover_what_shows(text: str) -> None:
    for found in (RegexChunker()(text), word_spans(text), sentences(text)):
        assert all(start < end for start, end in found)
        assert all(end <= start for (_, end), (start, _) in pairwise(found))
    for found in (RegexChunker()(text), word_spans(text), sentences(text)):
        shown = [place for place, character in enumerate(text) if not character.isspace()]
        covered = {place for start, end in found for place in range(start, end)}
        assert all(place in covered for place in shown)


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("aé_1٣ .,'’\n()你🙂"), max_size=24) | texts)
def test_words_are_those_of_a_regular_expression(text: str) -> None:
    """A literal reading of what is a word, character by character: points between digits and apostrophes in words are inner."""
    joined = re.sub(r"(?<=\d)[.,](?=\d)|(?<=\w)['’](?=\w)", "_", text)
    assert word_spans(text) == [found.span() for found in re.finditer(r"\w+|[^\w\s]+", joined)]


def test_phrases_by_hand() -> None:
    text = "So the sum of 3.14 and `x + 1` is np.sum(a), isn't it? this list"
    phrases = [text[start:end] for start, end in RegexChunker()(text)]
    assert phrases == ["So", "the sum", "of", "3.14", "and", "`x + 1`", "is", "np.sum", "(", "a", "),", "isn't", "it", "?", "this list"]
    text = "See e.g. this. Dr. No agrees! Right?\n\n```\nx = 1.\ny\n```"
    assert [text[start:end] for start, end in sentences(text)] == [
        "See e.g. this.", "Dr. No agrees!", "Right?", "```\nx = 1.", "y\n```"]  # fmt: skip


def test_a_spacy_model_that_is_missing_is_named_and_auto_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        MissingExtra,
        match=rf"its model one or other; install them with: {re.escape(install_command('phrases'))} && python -m spacy download one, or",
    ):
        SpacyChunker("one", "other")
    assert load_chunker("regex").identity == "regex"
    monkeypatch.setattr("asap.prune.methods.phrases.SPACY_MODELS", ("one", "other"))
    assert load_chunker("auto").identity == "regex"
    with pytest.raises(MissingExtra):
        load_chunker("spacy")


def installed_models() -> list[str]:
    """Those of the names that spaCy finds; the test is skipped where it finds none."""
    spacy = pytest.importorskip("spacy", reason="spaCy is not installed: its noun chunks were NOT checked")
    found = [name for name in SPACY_MODELS if spacy.util.is_package(name)]
    if not found:
        pytest.skip(f"spaCy has no model {' or '.join(SPACY_MODELS)}: its noun chunks were NOT checked")
    return found


def test_spacy_finds_noun_chunks_whatever_its_model_is_called() -> None:
    text = "The first big number is\nin the list."
    for name in installed_models():
        chunker: PhraseChunker = SpacyChunker(name)
        assert [text[start:end] for start, end in chunker(text)] == ["The first big number", "is", "in", "the list", "."]
        assert chunker.identity == f"spacy {name} {version(name)}"


def test_the_first_model_that_is_installed_is_taken_and_told(tiny: Scorer) -> None:
    name = installed_models()[0]
    ways: tuple[Phrases, ...] = ("auto", "spacy")
    told = f"spacy {name} {version(name)}"
    assert SpacyChunker("no_such_model", name, "nor_this").identity == told
    for how in ways:
        assert load_chunker(how).identity == told
        run = Asap(tiny, AsapSettings(method=SelectiveContext(phrases=how), ratio=0.5))
        assert description(run)["phrases"] == told


def test_spacy_chunks_are_spans_of_the_text() -> None:
    """spaCy without a trained model has no noun chunks, but the same tokens and offsets."""
    spacy = pytest.importorskip("spacy", reason="spaCy is not installed: its offsets were NOT checked")
    chunker = SpacyChunker.__new__(SpacyChunker)
    chunker._nlp = spacy.blank("en")
    text = "Wait,  the list\n\n is x+1. "
    assert [text[start:end] for start, end in chunker(text)] == ["Wait", ",", "the", "list", "is", "x+1", "."]


def test_no_numbers_reject_the_row() -> None:
    table = Table({}, tokens_of("smollm"))
    table._scored = lambda text: Scored(  # type: ignore[method-assign]
        [TokenScores(np.array([0]), np.array([1]), np.array([np.nan]), np.array([np.nan]))], 1
    )
    with pytest.raises(RowError, match="gave no number"):
        read_units(table, "One")
