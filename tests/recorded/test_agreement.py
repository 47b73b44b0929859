"""Where asap and the original packages must agree: what a token, a phrase, a sentence or a word is worth.

They differ on purpose in how they split a text, in how white space is kept and in what goes at a budget; see `tests/reference`.
"""

from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from asap.lm.classifier import TokenClassifier
from asap.lm.scorer import Scorer
from asap.lm.specs import load_scorer
from asap.prune.decision.units import Laid
from asap.prune.methods.llmlingua2 import ClassifierImportance, word_units
from asap.prune.methods.phrases import sentences
from asap.prune.methods.selective_context import SelectiveContext, Unit
from asap.prune.together import together
from asap.spans import Span
from reference.llmlingua2 import LLMLingua2
from reference.selective_context import SelectiveContext as Original
from reference.selective_context import sentences as original_sentences


@pytest.fixture(scope="module")
def scorer(language_model: Path) -> Scorer:
    return load_scorer(f"hf:{language_model}", device="cpu")


@pytest.fixture(scope="module")
def alike(selective: dict[str, Any]) -> list[str]:
    """The sentences of the original that are one sentence to asap as well."""
    found = [sentence for sentence in original_sentences(selective["text"]) if len(sentences(sentence)) == 1]
    assert len(found) > 20
    return found


class RecordedPhrases:
    """The phrases that spaCy found when the record was made."""

    identity = "recorded"

    def __init__(self, phrases: dict[str, list[list[int]]]) -> None:
        self.phrases = phrases

    def __call__(self, text: str) -> list[Span]:
        return [Span(*span) for span in self.phrases[text]]


@pytest.fixture
def units_of(scorer: Scorer, selective: dict[str, Any]) -> Any:
    """The units of a sentence and what they are worth to asap."""

    def units(sentence: str, unit: Unit) -> tuple[list[str], list[float | None]]:
        [(found, _)] = together([SelectiveContext(unit).units(sentence, scorer.tokens, RecordedPhrases(selective["phrases"]))], scorer)  # type: ignore[misc]
        laid = Laid.of(sentence, found.lengths)
        return [sentence[start:end] for start, end in zip(laid.starts.tolist(), laid.ends.tolist(), strict=True)], found.scores

    return units


def test_tokens_have_the_same_self_information(alike: list[str], units_of: Any, original: Original) -> None:
    """To asap a token that is a lone space counts for the token behind it."""
    for sentence in alike:
        shown, lone = list[tuple[str, float]](), list[float]()
        for token, value in zip(*original.self_information(sentence), strict=True):
            lone.append(value)
            if token.strip():
                shown.append((token.strip(), sum(lone) / len(lone)))
                lone.clear()
        texts, scores = units_of(sentence, "token")
        assert texts == [token for token, _ in shown]
        assert scores == pytest.approx([value for _, value in shown], abs=1e-5)


def test_sentences_have_the_same_self_information(alike: list[str], units_of: Any, original: Original) -> None:
    for sentence in alike:
        [expected] = original.units(sentence, "sent")[1]
        assert units_of(sentence, "sentence") == ([sentence], pytest.approx([expected], abs=1e-5))


def test_phrases_of_whole_tokens_have_the_same_self_information(alike: list[str], units_of: Any, original: Original) -> None:
    """A token that reaches over the end of a phrase counts where it begins, in the original where it ends; nor do lone spaces agree."""
    compared, met = 0, 0
    for sentence in alike:
        tokens, pieces = original.self_information(sentence)[0], original.pieces(sentence)
        edges = [0, *accumulate(map(len, tokens))]
        lone = [(start, start + 1) for token, start in zip(tokens, edges[:-1], strict=True) if token == " "]
        texts, scores = units_of(sentence, "phrase")
        assert texts == [piece.strip() for piece in pieces]
        values = original.units(sentence, "phrase")[1]
        ends = list(accumulate(map(len, pieces)))
        for start, end, score, value in zip([0, *ends], ends, scores, values, strict=False):
            met += 1
            if {start, end} <= {*edges} and not any(start <= low < end or high == start for low, high in lone):
                compared += 1
                assert score == pytest.approx(value, abs=1e-5)
    assert compared > 0.8 * met


@pytest.fixture(scope="module")
def importance(classifiers: dict[str, Path]) -> ClassifierImportance:
    """Of a classifier whose vocabulary has BERT's tokens for start and end."""
    return ClassifierImportance(TokenClassifier(str(classifiers["bert"]), device="cpu"))


def test_tokens_have_the_same_probability_of_staying(
    lingua: dict[str, Any], replicas: dict[str, LLMLingua2], importance: ClassifierImportance
) -> None:
    """In a text of one chunk."""
    text = lingua["texts"]["short"]
    [(_, values)] = replicas["bert"].read(text)
    assert importance([text])[0].keep.tolist() == pytest.approx(values[1:-1].tolist(), abs=1e-6)


@pytest.mark.parametrize("keep_digits", [False, True])
def test_words_have_the_same_probability_of_staying(
    lingua: dict[str, Any], replicas: dict[str, LLMLingua2], importance: ClassifierImportance, keep_digits: bool
) -> None:
    """Those that both see: a run of signs, a number with its point and a word with its apostrophe are one word to asap alone."""
    text = lingua["texts"]["long"].split("\n\n")[0]  # all of it in the vocabulary
    [read] = replicas["bert"].read(text)
    words, values = replicas["bert"].words(*read, keep_digits=keep_digits)
    by_place = {end - len(word): (end, value) for word, end, value in zip(words, accumulate(map(len, words)), values, strict=True)}
    units = word_units(text, importance([text])[0], keep_digits=keep_digits)
    laid = Laid.of(text, units.lengths)
    shown = [text[start:end] for start, end in zip(laid.starts.tolist(), laid.ends.tolist(), strict=True)]
    assert "".join(shown) == "".join(words)
    compared = 0
    for word, end, score in zip(shown, accumulate(map(len, shown)), units.scores, strict=True):
        other_end, value = by_place[end - len(word)]
        if other_end == end:
            compared += 1
            assert score == pytest.approx(float(value), abs=1e-6)
    assert compared > 0.6 * len(shown)
