"""TokenSkip: which ratio a row draws, and the marker that tells it."""

from collections import Counter

import pytest

from asap.errors import UsageError
from asap.prune.methods.selective_context import SelectiveContext
from asap.prune.methods.tokenskip import GAMMAS, TokenSkip, draw_gamma
from asap.prune.settings import AsapSettings
from asap.ratio_marker import marked
from asap.sample import Sample


def sample(number: int, row_id: str = "a") -> Sample:
    return Sample(row_id, f"question {number}", "some trace", "an answer")


def test_a_draw_follows_from_seed_and_content_alone() -> None:
    draws = [draw_gamma(sample(number), 0) for number in range(600)]
    assert draws == [draw_gamma(sample(number, f"row {number}"), 0) for number in range(600)]
    assert draws != [draw_gamma(sample(number), 1) for number in range(600)]
    assert set(draws) == set(GAMMAS)
    assert all(70 <= count <= 130 for count in Counter(draws).values())  # each about 100 times


def test_the_marker_by_hand() -> None:
    assert marked("Why?", 0.5) == "Why?\n\n[Compression ratio: 0.5]"
    assert marked("Why?", 0.5, "<|eot_id|>{gamma}<|eot_id|>") == "Why?<|eot_id|>0.5<|eot_id|>"
    for gamma, marker in ((1.0, "[{gamma}]"), (None, "[{gamma}]"), (0.5, "none")):
        assert marked("Why?", gamma, marker) == "Why?"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"gammas": ()}, "name at least one"),
        ({"gammas": (0.5, 0.5)}, "each once"),
        ({"gammas": (0.0,)}, "above 0 and at most 1"),
        ({"gammas": (1.5,)}, "above 0 and at most 1"),
        ({"marker": "[half]"}, "does not tell the ratio"),
    ],
)
def test_shares_and_markers_that_make_no_sense_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        TokenSkip(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"budget": 100}, "takes no budget"),
        ({"keep_first": 1}, "cuts inside steps; leave keep_first out"),
        ({"coarse": "select"}, "has no stage 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        AsapSettings(method="tokenskip", **wrong)  # type: ignore[arg-type]


def test_settings_of_one_kind_are_not_those_of_another() -> None:
    assert AsapSettings(method="tokenskip").budget is None
    assert AsapSettings(method="tokenskip", ratio=0.5, budget=None).ratio == 0.5
    assert "marker" in AsapSettings(method="tokenskip").stored()
    for other in ("random", "selective-context", "llmlingua2"):
        assert "marker" not in AsapSettings(method=other).stored()
    with pytest.raises(TypeError):
        SelectiveContext(keep_digits=True)  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="unknown unit 'word'; choose from phrase, sentence, token"):
        SelectiveContext(unit="word")  # type: ignore[arg-type]
