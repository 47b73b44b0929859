"""How much would be read: by hand, and against what a real (tiny) model read."""

import random
import re
from functools import partial
from math import log2
from typing import Any

import pytest
from prune_helpers import CORPUS

from asap.cost import Reading, tokens_read
from asap.lm.scorer import leave_out_anew, prefixes_anew
from asap.prune.asap import Asap
from asap.prune.methods import METHODS
from asap.prune.methods.method import needs_model
from asap.prune.methods.selective_context import SelectiveContext
from asap.prune.methods.spirit import Spirit
from asap.prune.settings import AsapSettings
from asap.prune.trace import Size
from asap.sample import Sample
from asap.steps import split_steps

SIZE = Size(steps=8, trace=1000, answer=100)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 3100),
        ({"coarse": "none"}, 1000),
        ({"coarse": "select"}, 1000),
        *(({"method": name}, 0) for name in ("random", "random-block", "keep-ends", "functional-first", "keep-head", "original")),
        *(({"method": name}, 1000) for name in ("first-token-entropy",)),
        *(({"method": name}, 1000) for name in ("mean-surprisal", "step-entropy")),
        ({"method": "alignment"}, 2100),
        ({"method": "spirit"}, 1000 + 7 * 500),
        ({"method": Spirit(20)}, 1000 + 7 * 20),
        ({"method": "leave-one-out"}, 1000 + 7 * 500 + 9 * 100),
        *(({"method": name}, 1000 + 9 * 100) for name in ("cut-after-answer", "coverage")),
        *(({"method": name}, 1000) for name in ("selective-context", "llmlingua2", "tokenskip")),
        ({"method": "random", "scores": "one-pass"}, 1000),
        ({"scores": "one-pass"}, 3100),
        ({"coarse": "select", "scores": "one-pass"}, 1000 + 1000),
        ({"scores": "every"}, 3100 + 5400 + 2 * 1900),
        ({"method": "spirit", "scores": "every"}, 1000 + 2100 + 5400 + 2 * 1900),
        ({"method": Spirit(20), "scores": "every"}, 1140 + 1000 + 2100 + 5400 + 2 * 1900),
        ({"coarse": "none", "rescore": 4}, 1000 + 500),
    ],
)
def test_what_would_be_read_by_hand(options: dict[str, Any], expected: float) -> None:
    assert tokens_read(AsapSettings(**options), SIZE, kept=500) == (expected, expected)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"method": "spirit"}, 8 * 1000),
        ({"method": Spirit(20)}, 8 * 1000),
        ({"method": "leave-one-out"}, 8 * 1000 + 9 * 100),
        *(({"method": name}, 4500 + 9 * 100) for name in ("cut-after-answer", "coverage")),
        ({"scores": "every"}, 3100 + 8000 + 8900 + 2 * 5400),
    ],
)
def test_what_would_be_read_by_a_model_that_keeps_nothing(options: dict[str, Any], expected: float) -> None:
    assert tokens_read(AsapSettings(**options), SIZE._replace(anew=True), kept=500) == (expected, expected)


def test_a_floor_reads_the_whole_trace_and_the_cut_one_and_at_most_searches_between_them() -> None:
    floor = AsapSettings(method="random", support_floor=0.1)
    assert tokens_read(floor, SIZE, kept=500) == ((1000 + 100) + (500 + 100), (1 + 2 * log2(1 + 4)) * (750 + 100))
    assert tokens_read(floor, SIZE, kept=1000) == (0, 0)  # nothing is cut
    low, high = tokens_read(AsapSettings(support_floor=0.1), SIZE, kept=1000)  # stage 1 may remove nothing, or something
    assert (low, high > low) == (3100, True)


def sample_of(number: int) -> Sample:
    chance, words = random.Random(number), re.findall("[a-z]+", CORPUS)
    steps = [" ".join(chance.choices(words, k=chance.randint(10, 40))) for _ in range(24)]
    return Sample(f"r{number}", "Sum?", "\n\n".join(steps), "It is 42.")


@pytest.mark.parametrize(
    "options",
    [
        *({"method": name} for name in METHODS if needs_model(METHODS[name])),
        {"coarse": "none"},
        {"coarse": "none", "rescore": 6},
        {"method": "spirit", "rescore": 8},
        *({"method": method, "rescore": 12, "scores": "every"} for method in (Spirit(), Spirit(20), "leave-one-out")),
        {"method": Spirit(20)},
        {"scores": "one-pass"},
        {"scores": "every"},
        {"method": "leave-one-out", "scores": "every"},
        {"method": SelectiveContext(phrases="regex")},
    ],
)
def test_the_estimate_is_near_what_is_read(options: dict[str, Any], tiny: Any) -> None:
    settings = AsapSettings(ratio=0.5, context="raw", **options)
    read, (low, high) = read_and_estimated(settings, tiny)
    assert low == high == pytest.approx(read, rel=0.2)


@pytest.mark.parametrize(
    "options",
    [*({"method": name} for name in ("spirit", "leave-one-out", "cut-after-answer", "coverage", "asap")), {"scores": "every"}],
)
def test_the_estimate_is_near_what_is_read_anew(options: dict[str, Any], tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny, "leave_out", partial(leave_out_anew, tiny.score), raising=False)
    monkeypatch.setattr(tiny, "prefixes", partial(prefixes_anew, tiny.score), raising=False)
    read, (low, high) = read_and_estimated(AsapSettings(ratio=0.5, context="raw", **options), tiny, anew=True)
    assert low == high == pytest.approx(read, rel=0.2)


@pytest.mark.parametrize("method", ["random", "asap"])
def test_what_a_floor_reads_is_within_its_estimate(method: str, tiny: Any) -> None:
    reads = list[int]()
    for floor in (100.0, 0.01, 0.003, 0.001, 0.0):  # from a floor that holds at once to one that needs everything
        settings = AsapSettings(ratio=0.5, context="raw", coarse="none", method=method, support_floor=floor)
        read, (low, high) = read_and_estimated(settings, tiny)
        assert 0.8 * low <= read <= 1.2 * high
        reads.append(read)
        if floor == 100.0:
            assert low == pytest.approx(read, rel=0.2)
    assert max(reads) > 1.5 * min(reads)


def read_and_estimated(settings: AsapSettings, tiny: Any, *, anew: bool = False) -> tuple[int, Reading]:
    """The tokens that a model reads to prune three rows, and the estimate of them."""
    samples, read, count = [sample_of(number) for number in range(3)], list[int](), tiny.tokens.count
    hook = tiny.model.base_model.register_forward_pre_hook(
        lambda module, arguments, named: read.append(named["input_ids"].numel()), with_kwargs=True
    )
    try:
        Asap(tiny, settings).decide(samples)
    finally:
        hook.remove()
    sizes = [Size(len(split_steps(sample.cot)), count(sample.cot), count(sample.answer), anew) for sample in samples]
    estimates = [tokens_read(settings, size, kept=size.trace / 2) for size in sizes]
    return sum(read), Reading(sum(one.low for one in estimates), sum(one.high for one in estimates))
