"""A tail behind each prefix of a text, read with kept keys and values, scores as it does when each text is read anew."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lm_helpers import QUESTION, TRACE, same, scores, whole

from asap.errors import UsageError
from asap.lm.kept import Asked, KeptText
from asap.lm.prefixes import each_asked
from asap.lm.scorer import NoModel, PrefixRequest, Scorer, prefixes_anew
from asap.lm.scorer_shipped import ShippedScorer
from asap.lm.scorer_transformers import HFScorer
from asap.lm.specs import load_scorer
from asap.prune.together import together
from asap.prune.trace import Trace
from asap.sample import Sample
from asap.steps import split_steps

STEPS = [TRACE[span.start : span.end] for span in split_steps(TRACE)]
ANSWER = "The sum is `sum(numbers)`."
REQUEST = PrefixRequest(QUESTION + "\n<think>\n", STEPS, ANSWER, "\n</think>\n\n")


@pytest.mark.parametrize("architecture", ["llama", "granite", "gpt2"])
@pytest.mark.parametrize("family", ["r1", "llama3", "qwen", "smol", "sentencepiece"])
@pytest.mark.parametrize("beside", [True, False])
def test_kept_keys_and_values_give_what_reading_anew_gives(
    family: str, architecture: str, beside: bool, scorer: Callable[..., HFScorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = scorer(family, architecture)
    assert model._reads_beside
    monkeypatch.setattr(model, "_reads_beside", beside)
    same(model.prefixes(REQUEST), prefixes_anew(model.score, REQUEST))


@pytest.mark.parametrize("at_once", [1, 20, 40, 256])
def test_tails_are_read_in_as_many_passes_as_they_need(
    at_once: int, scorer: Callable[..., HFScorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = scorer("smol", "llama")
    expected = prefixes_anew(model.score, REQUEST)
    assert model._reads_beside  # found by trying, before passes are counted
    monkeypatch.setattr("asap.lm.kept._AT_ONCE_ON_CPU", at_once)
    widths, body = list[int](), model.model.base_model.forward
    monkeypatch.setattr(
        model.model.base_model, "forward", lambda *args, **named: widths.append(named["input_ids"].shape[1]) or body(*args, **named)
    )
    same(model.prefixes(REQUEST), expected)
    _, *tails = widths
    assert all(width <= at_once for width in tails) or len(tails) == len(STEPS) + 1
    assert all(one + other > at_once for one, other in pairwise(tails))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    architecture=st.sampled_from(["llama", "gpt2", "granite", "minicpm3", "phi3", "cohere2", "mistral", "bloom"]),
    lengths=st.lists(st.integers(1, 24), max_size=20),
    tail=st.integers(1, 16) | st.integers(120, 136) | st.integers(250, 262),  # so that about 1, 2 or 20 tails make a pass
    family=st.sampled_from(["r1", "smol", "sentencepiece"]),
)
def test_any_number_of_steps_before_a_tail_of_any_length(
    architecture: str, lengths: list[int], tail: int, family: str, scorer: Callable[..., HFScorer]
) -> None:
    words = (TRACE * 9).split()
    steps = [" ".join(words[length : 2 * length]) for length in lengths]
    request, model = PrefixRequest(QUESTION, steps, " ".join(["is"] * tail), "\n</think>\n\n"), scorer(family, architecture)
    same(model.prefixes(request), prefixes_anew(model.score, request))


@pytest.mark.parametrize("at_once", [0, 5, 20, 256])
@pytest.mark.parametrize("beside", [True, False])
def test_a_text_may_share_more_with_the_whole_trace_than_longer_texts_do(
    at_once: int, beside: bool, scorer: Callable[..., HFScorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = scorer("smol", "llama")
    monkeypatch.setattr("asap.lm.kept._AT_ONCE_ON_CPU", at_once)
    monkeypatch.setattr(model, "_reads_beside", beside)
    steps = ["Okay", "So", "the answer is 5 and", "more"]
    request = PrefixRequest("Q\n", steps, " 5 of course", " So the answer is", [" "] * 3)
    same(model.prefixes(request), prefixes_anew(model.score, request))


def test_where_a_longer_text_is_rotated_otherwise_each_is_read_anew(scorer: Callable[..., HFScorer]) -> None:
    model = scorer("smol", "phi3")
    lengths = [model.tokens.count(REQUEST.context + REQUEST.text(count)) for count in (0, 3, len(STEPS))]
    assert lengths[0] < lengths[1] < model.causal_lm.rotates_alike == 192 < lengths[2] < model.context_tokens
    for request in (REQUEST, REQUEST._replace(steps=STEPS[:3])):
        same(model.prefixes(request), prefixes_anew(model.score, request))
    texts = [whole(REQUEST.text(count)) for count in range(len(STEPS))]
    batched = HFScorer(model.causal_lm.name, device="cpu", batch_tokens=1 << 14).score(texts)
    for ours, text in zip(batched, texts, strict=True):
        assert ours.spans[0].logprobs == pytest.approx(scores(model, text), abs=1e-4, nan_ok=True)


def test_in_sixteen_bits_tails_side_by_side_score_as_they_do_alone(
    model_folder: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = HFScorer(str(model_folder("smol", "llama")), device="cpu", dtype="bfloat16")
    assert model._reads_beside
    found = model.prefixes(REQUEST)
    monkeypatch.setattr(model, "_reads_beside", False)
    for ours, theirs in zip(found.spans, model.prefixes(REQUEST).spans, strict=True):
        np.testing.assert_allclose(ours.logprobs, theirs.logprobs, atol=0.05)


def test_a_model_that_places_tokens_by_its_mask_reads_tails_one_after_another(scorer: Callable[..., HFScorer]) -> None:
    model = scorer("smol", "bloom")
    assert not model._reads_beside
    same(model.prefixes(REQUEST), prefixes_anew(model.score, REQUEST))


def test_a_model_that_counts_its_windows_in_the_cache_reads_tails_one_after_another(scorer: Callable[..., HFScorer]) -> None:
    model, request = scorer("smol", "gpt_neo"), REQUEST._replace(steps=STEPS * 3)
    assert not model._reads_beside
    same(model.prefixes(request), prefixes_anew(model.score, request))


def test_attention_that_takes_no_mask_reads_tails_one_after_another(
    model_folder: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = HFScorer(str(model_folder("smol", "llama")), device="cpu")
    monkeypatch.setattr(model.model.config, "_attn_implementation", "flash_attention_2")
    assert not model._reads_beside


def test_the_bundled_model_gives_what_it_gives_when_it_reads_anew() -> None:
    model = load_scorer("bundled", dtype="float32", device="cpu")
    request = REQUEST._replace(steps=STEPS[:4])
    found = model.prefixes(request)
    same(found, prefixes_anew(model.score, request))
    assert max(abs(later.logprobs - earlier.logprobs).max() for earlier, later in pairwise(found.spans)) > 0.1


def test_it_is_the_literal_log_probability(scorer: Callable[..., Any]) -> None:
    model = scorer("smol", "llama")
    for count, found in enumerate(model.prefixes(REQUEST).spans):
        ids = model.tokens.encode(REQUEST.context + "\n\n".join(STEPS[:count]) + REQUEST.lead + ANSWER).ids.tolist()
        with torch.inference_mode():
            table = torch.log_softmax(model.model(torch.tensor([ids])).logits[0].double(), dim=-1)
        first = len(ids) - len(found.logprobs)
        assert model.tokens.hf.decode(ids[first:]) == ANSWER
        literal = [float(table[place - 1, ids[place]]) for place in range(first, len(ids))]
        assert found.logprobs == pytest.approx(literal, rel=1e-5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.sampled_from(["Wait.", "Wait. So", "1 + 2", "  indented", "答案", "```\nx = 1\n\ny\n```"]), max_size=6),
    tail=st.sampled_from(["", "end", " end", "\n\nend", "答", "end ", "end\n  "]),
    lead=st.sampled_from(["", "\n", "\n</think>\n\n"]),
    context=st.sampled_from(["", "Q:\n"]),
    between=st.sampled_from(["\n\n", "\n", " ", ""]),
    at_once=st.sampled_from([0, 2, 5, 256]),
)
def test_odd_texts_are_no_problem(
    steps: list[str], tail: str, lead: str, context: str, between: str, at_once: int, scorer: Callable[..., HFScorer]
) -> None:
    request = PrefixRequest(context, steps, tail, lead, [between] * (len(steps) - 1))
    for family in ("r1", "smol", "llama3"):
        model = scorer(family, "qwen2")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("asap.lm.kept._AT_ONCE_ON_CPU", at_once)
            same(model.prefixes(request), prefixes_anew(model.score, request))


@pytest.mark.parametrize("beside", [True, False])
def test_texts_may_come_in_any_order(beside: bool, scorer: Callable[..., Any]) -> None:
    """Where a token reaches over the end of a step, a longer text can share less with the whole than a shorter one."""
    lm = scorer("smol", "llama").causal_lm
    ids = np.arange(40) % lm.model.config.vocab_size
    texts = [Asked(np.concatenate([ids[:shared], ids[9::-1]]), shared, ids[:0], ids[:0]) for shared in (12, 30, 5, 39, 20)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asap.lm.kept._AT_ONCE_ON_CPU", 20)
        kept = KeptText.of(lm, ids, 64)
        assert kept
        found = [*kept.asked_logprobs(texts, beside=beside)]
    for text, one in zip(texts, found, strict=True):
        anew = KeptText.of(lm, text.ids, 64)
        assert anew
        np.testing.assert_allclose(one, anew.own_logprobs(np.arange(text.first, len(text.ids))), rtol=1e-5, atol=1e-4)


def test_the_white_space_of_the_trace_joins_the_steps() -> None:
    request = PrefixRequest("Q", ["a", "b", "c"], "end", " ", between=["\n", ""])
    assert [request.text(count) for count in range(4)] == [" end", "a end", "a\nb end", "a\nbc end"]
    assert PrefixRequest("Q", ["a", "b"], "end").text(2) == "a\n\nbend"
    assert PrefixRequest("Q", [], "end").text(0) == "end"


def test_a_text_longer_than_the_context_is_read_in_windows(model_folder: Callable[..., Any]) -> None:
    model = HFScorer(str(model_folder("r1", "llama")), device="cpu", context_tokens=48)
    found = model.prefixes(REQUEST)
    assert found.windows == prefixes_anew(model.score, REQUEST).windows
    same(found, prefixes_anew(model.score, REQUEST))


@pytest.mark.parametrize("architecture", ["gemma2", "mamba", "minimax"])
def test_a_model_whose_cache_forgets_or_is_of_its_own_kind_is_asked_the_plain_way(
    architecture: str, scorer: Callable[..., HFScorer]
) -> None:
    model = scorer("llama3", architecture)
    same(model.prefixes(REQUEST), prefixes_anew(model.score, REQUEST))


def test_without_a_model_it_is_refused(scorer: Callable[..., HFScorer]) -> None:
    tokens = scorer("qwen", "llama").tokens
    without: list[Scorer] = [NoModel(tokens), ShippedScorer(["logprobs"], tokens)]
    for one in without:
        with pytest.raises(UsageError):
            one.prefixes(REQUEST)


def test_a_method_asks_for_the_answer_behind_each_prefix(scorer: Callable[..., HFScorer]) -> None:
    model = scorer("qwen", "llama")
    sample = Sample("1", QUESTION, TRACE, ANSWER)
    steps = Trace.of(sample, "fenced", "raw", model, model.tokens, 0).steps(range(len(STEPS)))
    [found] = together([steps.prefixes()], model)
    assert not isinstance(found, Exception)
    assert len(found) == len(steps.texts) + 1
    expected = model.prefixes(PrefixRequest(steps.request.context, steps.texts, ANSWER, "\n</think>\n\n", steps.between))
    for ours, theirs in zip(found, expected.spans, strict=True):
        assert ours.logprobs.tolist() == theirs.logprobs.tolist()


def test_a_method_works_with_the_model_itself(scorer: Callable[..., HFScorer]) -> None:
    model = scorer("qwen", "llama")
    steps = Trace.of(Sample("1", QUESTION, TRACE, ANSWER), "fenced", "raw", model, model.tokens, 0).steps(range(len(STEPS)))
    assert together([steps.ask_model(lambda lm: (lm, lm.model.training))], model) == [(model.causal_lm, False)]
    with pytest.raises(UsageError, match="works with the model itself, which none does not give; use bundled or hf"):
        together([steps.ask_model(lambda lm: lm)], NoModel(model.tokens))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.text(st.sampled_from("ab1. ,;<>|\n\t答é😀"), max_size=12)
        | st.sampled_from(["Wait, so", " so it is 12 345", "<think> a", "a <|im_end|> b", "end </think>", "x  y z", "a  ", "don't we're"]),
        max_size=8,
    ),
    tail=st.sampled_from(["", "end", " end", "\n\nend", "答", "12", "end\n  "]),
    lead=st.sampled_from(["", " ", "\n", "\n</think>\n\n", " So 1"]),
    between=st.sampled_from(["\n\n", "\n", " ", ""]),
    family=st.sampled_from(["r1", "llama3", "qwen", "smol", "sentencepiece"]),
)
def test_each_text_has_the_tokens_that_it_has_when_it_is_read_whole(
    steps: list[str], tail: str, lead: str, between: str, family: str, scorer: Callable[..., HFScorer]
) -> None:
    tokens = scorer(family, "llama").tokens
    request = PrefixRequest("<think> Is it 5 ?\n", steps, tail, lead, [between] * (len(steps) - 1))
    for count, ours in enumerate(each_asked(tokens, request)):
        text = request.context + request.text(count)
        for one, other in zip(ours, Asked.of(tokens, text, len(text) - len(tail)), strict=True):
            np.testing.assert_array_equal(one, other)
