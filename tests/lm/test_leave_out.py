"""A text with a step left out, read with kept keys and values, scores as it does when it is read anew."""

from collections.abc import Callable
from typing import Any
from weakref import ref

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lm_helpers import QUESTION, TRACE, same

from asap.lm.kept import Asked
from asap.lm.scorer import LeaveOutRequest, LeftOut, PrefixRequest, leave_out_anew
from asap.lm.scorer_transformers import HFScorer
from asap.steps import split_steps

ODD_STEPS = ["Wait.", "Wait. So", "1 + 2", "  indented", "So", "So, the sum", "答案", "```\nx = 1\n\ny\n```"]
STEPS = [TRACE[span.start : span.end] for span in split_steps(TRACE)]


def close(one: LeftOut, other: LeftOut) -> None:
    for a, b in zip([one.whole, *one.without], [other.whole, *other.without], strict=True):
        assert a.tokens == b.tokens
        assert a.nll == pytest.approx(b.nll, rel=1e-6, abs=1e-4)


@pytest.mark.parametrize("architecture", ["llama", "granite", "gpt2"])
@pytest.mark.parametrize("family", ["r1", "llama3", "qwen", "smol", "sentencepiece"])
@pytest.mark.parametrize("tail", ["", "The sum is `sum(numbers)`."])
def test_kept_keys_and_values_give_what_reading_anew_gives(
    family: str, architecture: str, tail: str, scorer: Callable[..., HFScorer]
) -> None:
    model = scorer(family, architecture)
    request = LeaveOutRequest(QUESTION + "\n<think>\n", STEPS, tail, "\n</think>\n\n" if tail else "")
    close(model.leave_out(request), leave_out_anew(model.score, request))


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("family", ["r1", "llama3", "qwen", "smol", "sentencepiece"])
def test_the_steps_are_scored_with_the_tail(family: str, beside: bool, scorer: Callable[..., HFScorer], monkeypatch: Any) -> None:
    model = scorer(family, "llama")
    monkeypatch.setattr(model, "_reads_beside", beside)
    read = list[int]()
    body = model.model.base_model.forward
    monkeypatch.setattr(model.model.base_model, "forward", lambda **named: read.append(named["input_ids"].numel()) or body(**named))
    for steps in (STEPS, STEPS[:1], ["a", "a", "b", "a"], ["So", "So.", "1 + 2", "\n"]):
        request = LeaveOutRequest(QUESTION, steps, "The sum is 3.", "\n</think>\n\n", steps_too=True)
        read.clear()
        both = model.leave_out(request)
        reads_both, expected = sum(read), model.leave_out(request._replace(steps_too=False))
        assert reads_both < 1.25 * (sum(read) - reads_both), "one reading does for both"
        close(both, expected)
        assert both.steps is not None
        close(both.steps, model.leave_out(LeaveOutRequest(QUESTION, steps)))
        close(both.steps, leave_out_anew(model.score, LeaveOutRequest(QUESTION, steps)))
        assert expected.steps is None


def test_it_is_the_literal_perplexity(scorer: Callable[..., Any]) -> None:
    model = scorer("r1", "llama")
    request = LeaveOutRequest("Q\n", STEPS[:3])
    for index, rest in enumerate(model.leave_out(request).without):
        context = model.tokens.encode(request.context).ids.tolist()
        ids = model.tokens.encode(
            request.context + "\n\n".join(step for place, step in enumerate(STEPS[:3]) if place != index)
        ).ids.tolist()
        bos = model.tokens.bos_id
        ids = ids if bos is None or ids[0] == bos else [bos, *ids]
        with torch.inference_mode():
            table = torch.log_softmax(model.model(torch.tensor([ids])).logits[0].double(), dim=-1)
        start = len(ids) - rest.tokens
        assert start in (len(context), len(context) + 1)
        assert rest.nll == pytest.approx(-sum(float(table[place - 1, ids[place]]) for place in range(start, len(ids))), rel=1e-5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(ODD_STEPS), min_size=1, max_size=8))
def test_repeated_steps_are_no_problem(steps: list[str], scorer: Callable[..., HFScorer]) -> None:
    model = scorer("r1", "qwen2")
    for request in (
        LeaveOutRequest("Q:\n", steps),
        LeaveOutRequest("Q:\n", steps, " end"),
        LeaveOutRequest("Q:\n", steps, "end", "\n\n"),
        LeaveOutRequest("", steps),
        LeaveOutRequest("Q:\n", steps, between=[" ", "\n", "", "\n\n", "  ", "\n", " "][: len(steps) - 1]),
    ):
        close(model.leave_out(request), leave_out_anew(model.score, request))
    both = model.leave_out(LeaveOutRequest("Q:\n", steps, "end", "\n\n", steps_too=True))
    assert both.steps is not None
    close(both.steps, leave_out_anew(model.score, LeaveOutRequest("Q:\n", steps)))


def test_what_stands_around_a_gap_joins_what_is_left() -> None:
    request = LeaveOutRequest("Q:\n", ["a", "b", "c", "d"], between=["\n", " ", "\n\n"])
    assert [request.text(without) for without in (None, 0, 1, 2, 3)] == ["a\nb c\n\nd", "b c\n\nd", "a\nc\n\nd", "a\nb\n\nd", "a\nb c"]
    assert LeaveOutRequest("Q:\n", ["a", "b", "c"], "end", " ").text(1) == "a\n\nc end"
    assert LeaveOutRequest("Q:\n", ["a"]).text(0) == ""
    assert LeaveOutRequest("Q:\n", ["a", "b", "c"], between=["", " "]).text(1) == "a c"


def test_a_text_longer_than_the_context_is_read_in_windows(model_folder: Callable[..., Any]) -> None:
    model = HFScorer(str(model_folder("r1", "llama")), device="cpu", context_tokens=48)
    request = LeaveOutRequest("Q:\n", STEPS)
    assert model.leave_out(request) == leave_out_anew(model.score, request)


def test_a_model_whose_cache_forgets_is_asked_the_plain_way(scorer: Callable[..., HFScorer]) -> None:
    model = scorer("llama3", "gemma2")
    request = LeaveOutRequest("Q:\n", STEPS[:4])
    assert model.leave_out(request) == leave_out_anew(model.score, request)


def test_only_so_many_tokens_behind_a_gap_are_read_again(scorer: Callable[..., HFScorer]) -> None:
    model = scorer("r1", "llama")
    request = LeaveOutRequest("Q:\n", STEPS)
    exact, few, many = (model.leave_out(request._replace(suffix_tokens=suffix)).without for suffix in (None, 4, 10_000))
    assert many == exact
    assert [rest.tokens for rest in few] == [rest.tokens for rest in exact]
    assert few != exact
    assert all(abs(one.mean - other.mean) < 0.5 for one, other in zip(few, exact, strict=True))


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize(
    "request_",
    [
        LeaveOutRequest("Q:\n", [f"step {number} of many" for number in range(120)], suffix_tokens=1),
        LeaveOutRequest("Q:\n", ["over and over", *["again"] * 120], "end", "\n", steps_too=True),
    ],
)
def test_few_texts_are_in_memory_at_once(
    request_: LeaveOutRequest, beside: bool, scorer: Callable[..., HFScorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, texts, alive = scorer("smol", "llama"), list[Any](), list[int]()
    monkeypatch.setattr(model, "_reads_beside", beside)
    monkeypatch.setattr("asap.lm.kept._AT_ONCE_ON_CPU", 20)
    of = Asked.of

    def watched(*given: Any) -> Asked:
        asked = of(*given)
        texts.append(ref(asked.ids if asked.ids.base is None else asked.ids.base))
        alive.append(sum(text() is not None for text in texts))
        return asked

    monkeypatch.setattr(Asked, "of", watched)
    found = model.leave_out(request_)
    assert len(alive) > 120
    assert max(alive) <= 3 * 20
    if request_.tail:
        close(found, leave_out_anew(model.score, request_))


def test_a_small_model_on_a_gpu_reads_whole_texts_in_few_batches(scorer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model = scorer("r1", "llama")
    request, prefixes = LeaveOutRequest("Q:\n", STEPS), PrefixRequest("Q:\n", STEPS, " end")
    kept, cut, tails = model.leave_out(request), model.leave_out(request._replace(suffix_tokens=4)), model.prefixes(prefixes)
    monkeypatch.setattr(model, "device", torch.device("cuda"))  # it is asked only for its name here
    monkeypatch.setattr(model, "_on_device", torch.from_numpy)
    monkeypatch.setattr(model, "batch_tokens", 1 << 14)
    widths = list[int]()
    body = model.model.base_model.forward
    monkeypatch.setattr(model.model.base_model, "forward", lambda *args, **named: widths.append(len(named["input_ids"])) or body(**named))
    close(model.leave_out(request), kept)
    assert widths == [len(STEPS) + 1]
    assert model.leave_out(request._replace(suffix_tokens=4)) == cut, "a suffix is a wish to read less, and is kept to"
    widths.clear()
    same(model.prefixes(prefixes), tails)
    assert widths == [1, 1], "the steps, then all tails side by side"
    widths.clear()
    monkeypatch.setattr(model, "_reads_beside", False)
    same(model.prefixes(prefixes), tails)
    assert widths == [len(STEPS) + 1]


def test_a_large_model_on_a_gpu_reads_only_the_rests(scorer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model = scorer("r1", "llama")
    monkeypatch.setattr(model, "device", torch.device("cuda"))
    monkeypatch.setattr(model.model, "num_parameters", lambda: 7_000_000_000, raising=False)
    monkeypatch.setattr(model, "score", None)
    assert len(model.leave_out(LeaveOutRequest("Q:\n", STEPS)).without) == len(STEPS)
