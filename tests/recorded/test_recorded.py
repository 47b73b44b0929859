"""The replicas in `tests/reference` return what the original packages returned, character for character."""

from typing import Any

import pytest

from reference.llmlingua2 import LLMLingua2, kept_words
from reference.selective_context import Level, SelectiveContext, kept_units, sentences

LEVELS: tuple[Level, ...] = ("phrase", "sent", "token")


@pytest.mark.parametrize("keep_digits", [False, True], ids=["plain", "digits stay"])
@pytest.mark.parametrize("which", ["long", "short"])
@pytest.mark.parametrize("kind", ["xlm", "bert"])
def test_llmlingua(lingua: dict[str, Any], replicas: dict[str, LLMLingua2], kind: str, which: str, keep_digits: bool) -> None:
    replica, text = replicas[kind], lingua["texts"][which]
    assert which == "short" or len(replica.chunks(text)) > 1  # the long text is longer than a chunk
    runs = [run for run in lingua["runs"] if (run["model"], run["text"], run["keep_digits"]) == (kind, which, keep_digits)]
    assert len(runs) == 5
    for run in runs:
        assert replica.compress(text, run["rate"], keep_digits=keep_digits).text == run["result"], run["rate"]


@pytest.mark.parametrize("level", LEVELS)
def test_selective_context(selective: dict[str, Any], original: SelectiveContext, level: Level) -> None:
    runs = [run for run in selective["runs"] if run["level"] == level]
    assert len(runs) == 5
    for run in runs:
        assert original.compress(selective["text"], run["reduce"], level) == run["result"], run["reduce"]


def test_self_information_is_that_of_the_package(selective: dict[str, Any], original: SelectiveContext) -> None:
    sentence, texts, values = selective["information"]
    tokens, information = original.self_information(sentence)
    assert tokens == texts
    assert information == pytest.approx(values, abs=1e-5)


def test_percentiles_by_hand() -> None:
    """Selective Context: below the 50th percentile of 1, 2, 3, 4 (2.5) goes; no number stays. LLMLingua-2: words weigh."""
    assert kept_units([1.0, 2.0, 3.0, 4.0, float("nan")], 0.5) == [False, False, True, True, True]
    assert kept_units([1.0, 2.0, 3.0, 4.0, float("nan")], 0.1) == [False, True, True, True, True]
    assert all(kept_units([1.0] * 5, 0.8))  # ties stay
    # 51st percentile of .1 .2 .2 .2 .2 .3 .4 is .2: ties go; without weights it would be .208
    assert kept_words([0.1, 0.2, 0.3, 0.4, 0.2], [1, 3, 1, 1, 1], 0.5) == [False, False, True, True, False]
    assert kept_words([0.1, 1.0, 1.0, 1.0, 1.0], [1] * 5, 0.5) == [False, True, True, True, True]  # a threshold of 1 keeps what is sure


def test_an_exclamation_mark_ends_no_sentence() -> None:
    text = "See e.g. this. Dr. No agrees! Right?\n\n```\nx = 1.\ny\n```"
    assert sentences(text) == ["See e.g. this.", "Dr. No agrees! Right?", "``` x = 1.", "y ```"]
