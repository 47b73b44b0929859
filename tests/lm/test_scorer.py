"""The scores are the model's own: equal to a plain forward pass, whatever the tokenizer, the model, the batch or the neighbours."""

import math
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from lm_helpers import FAMILIES, OPENERS, QUESTION, TABLE, TRACE, naive_ids, naive_logprob, scores, visible_steps, whole

from asap.lm.prompt_style import render_context
from asap.lm.scorer import ScoreRequest
from asap.lm.scorer_transformers import HFScorer
from asap.lm.windows import Windowed
from asap.spans import Span

Scorers = Callable[..., HFScorer]
Folders = Callable[..., Path]
TOLERANCE = 1e-4  # nats, float32
BFLOAT16_MEDIAN, BFLOAT16_MAX = 0.05, 0.6
STEPS = visible_steps(TRACE)
# transformers gives every model of type qwen2 the Qwen split rule, whatever tokenizer.json says, so it is paired with no other
PAIRS = [(family, model) for family in FAMILIES for model in ("llama", "gemma2", "gpt2")] + [("qwen", "qwen2"), ("r1", "qwen2")]
every_family = pytest.mark.parametrize("family", FAMILIES)
every_pair = pytest.mark.parametrize(("family", "architecture"), PAIRS)
every_model = pytest.mark.parametrize(("family", "architecture"), [("r1", "qwen2"), ("smol", "gpt2"), ("sentencepiece", "gemma2")])


def chat_context(scorer: HFScorer) -> str:
    return render_context(scorer.tokens, [{"role": "user", "content": QUESTION}], "chat")


def plain_model(folder: Path) -> torch.nn.Module:
    return transformers.AutoModelForCausalLM.from_pretrained(folder).eval()


def full_logprobs(model: torch.nn.Module, ids: list[int]) -> list[float]:
    """log p of every id but the first, from one plain forward pass."""
    with torch.inference_mode():
        table = torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0].float(), dim=-1)
    return [float(table[place - 1, ids[place]]) for place in range(1, len(ids))]


def first_at(offsets: list[tuple[int, int]], start: int) -> int:
    return next(place for place, (_, end) in enumerate(offsets) if end > start)


# --- equal to the naive computation


@every_pair
@pytest.mark.parametrize("empty_context", [False, True], ids=["chat", "none"])
def test_first_token_scores_equal_a_forward_pass_per_step(
    scorer: Scorers, model_folder: Folders, family: str, architecture: str, empty_context: bool
) -> None:
    subject, folder = scorer(family, architecture), model_folder(family, architecture)
    context = "" if empty_context else chat_context(subject)
    actual = scores(subject, ScoreRequest(context, TRACE, STEPS, 1))
    ids, offsets = naive_ids(folder, family, context + TRACE)
    model = plain_model(folder)
    places = [first_at(offsets, len(context) + step.start) for step in STEPS]
    expected = [naive_logprob(model, ids, place) if place else math.nan for place in places]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE)
    assert np.ptp(expected[1:]) > 1  # the numbers differ enough for a wrong row to show


@every_pair
def test_a_whole_text_equals_one_plain_forward_pass(scorer: Scorers, model_folder: Folders, family: str, architecture: str) -> None:
    subject, folder = scorer(family, architecture), model_folder(family, architecture)
    context = chat_context(subject)
    ids, offsets = naive_ids(folder, family, context + TRACE)
    first = first_at(offsets, len(context))
    expected = full_logprobs(plain_model(folder), ids)[first - 1 :]
    np.testing.assert_allclose(scores(subject, whole(TRACE, context)), expected, rtol=0, atol=TOLERANCE)


# --- the right token


@every_family
def test_the_first_token_of_a_step_is_its_first_word(scorer: Scorers, family: str) -> None:
    subject = scorer(family, "llama")
    context = chat_context(subject)
    [scored] = subject.score([ScoreRequest(context, TRACE, STEPS, 1)])
    words = [TRACE[int(tokens.starts[0]) : int(tokens.ends[0])].strip() for tokens in scored.spans]
    assert len(words) == len(OPENERS)
    assert all(word and (opener.startswith(word) or word.startswith(opener)) for word, opener in zip(words, OPENERS, strict=True)), words


@every_family
def test_the_first_token_of_an_indented_step_is_not_its_indentation(scorer: Scorers, family: str) -> None:
    text = "Wait.\n\n    return total\n\n\t\treturn 0"
    [scored] = scorer(family, "llama").score([ScoreRequest("", text, visible_steps(text)[1:], 1)])
    words = [text[int(tokens.starts[0]) : int(tokens.ends[0])].strip() for tokens in scored.spans]
    assert len(words) == 2
    assert all(word and "return".startswith(word) for word in words), words


@pytest.mark.parametrize(("depth", "counts"), [(1, 1), (2, 2), (8, 8), (None, None)])
@every_family
def test_depth_limits_the_tokens_of_each_span(scorer: Scorers, family: str, depth: int | None, counts: int | None) -> None:
    subject = scorer(family, "llama")
    context = chat_context(subject)
    [everything] = subject.score([ScoreRequest(context, TRACE, STEPS)])
    [scored] = subject.score([ScoreRequest(context, TRACE, STEPS, depth)])
    for part, full in zip(scored.spans, everything.spans, strict=True):
        assert len(part.logprobs) == min(counts or 10**9, len(full.logprobs))
        np.testing.assert_array_equal(part.starts, full.starts[: len(part.starts)])
        np.testing.assert_allclose(part.logprobs, full.logprobs[: len(part.logprobs)], rtol=0, atol=TOLERANCE)


@every_family
def test_spans_are_slices_of_the_whole_text(scorer: Scorers, family: str) -> None:
    subject = scorer(family, "llama")
    context = chat_context(subject)
    [whole_text] = subject.score([whole(TRACE, context)])
    logprobs = dict(enumerate(whole_text.spans[0].logprobs))
    starts, ends = whole_text.spans[0].starts, whole_text.spans[0].ends
    spans = [Span(30, 31), Span(0, 40), Span(20, 200), Span(20, 200)]
    [scored] = subject.score([ScoreRequest(context, TRACE, spans)])
    for span, tokens in zip(spans, scored.spans, strict=True):
        overlapping = [place for place in logprobs if ends[place] > span.start and starts[place] < span.end]
        assert tokens.starts.tolist() == starts[overlapping].tolist()
        np.testing.assert_allclose(tokens.logprobs, [logprobs[place] for place in overlapping], rtol=0, atol=TOLERANCE)


def test_a_token_across_the_start_of_a_span_is_its_first(scorer: Scorers) -> None:
    subject = scorer("r1", "llama")
    text = "Okay, the sum"
    [scored] = subject.score([ScoreRequest("", text, [Span(text.index("the"), len(text))], 1)])
    assert text[int(scored.spans[0].starts[0]) : int(scored.spans[0].ends[0])].startswith(" t")


# --- neighbours, batches and padding


@every_model
def test_a_batch_gives_the_scores_of_single_runs(scorer: Scorers, model_folder: Folders, family: str, architecture: str) -> None:
    single = scorer(family, architecture)
    batched = HFScorer(str(model_folder(family, architecture)), device="cpu", batch_tokens=100_000)
    requests = [ScoreRequest(chat_context(single), TRACE[: step.end], STEPS[: place + 1], 3) for place, step in enumerate(STEPS)]
    for alone, together in zip(single.score(requests), batched.score(requests), strict=True):
        for left, right in zip(alone.spans, together.spans, strict=True):
            np.testing.assert_allclose(left.logprobs, right.logprobs, rtol=0, atol=TOLERANCE)


def test_alone_on_a_cpu_the_scores_are_bit_for_bit_independent_of_neighbours_and_order(scorer: Scorers) -> None:
    subject = scorer("r1", "qwen2")
    assert subject.batch_tokens == 0
    requests = [whole(TRACE[: step.end], chat_context(subject)) for step in STEPS]
    alone = [scores(subject, request) for request in requests]
    for order in (list(range(len(STEPS))), list(reversed(range(len(STEPS))))):
        together = subject.score([requests[place] for place in order])
        for place, scored in zip(order, together, strict=True):
            np.testing.assert_array_equal(scored.spans[0].logprobs, alone[place])


@pytest.mark.parametrize("batch_tokens", [0, 100_000])
def test_who_asks_for_entropies_gets_them_and_nobody_else(model_folder: Folders, batch_tokens: int) -> None:
    subject = HFScorer(str(model_folder("smol", "gpt2")), device="cpu", batch_tokens=batch_tokens)
    requests = [whole(TRACE[step.start :])._replace(entropy=number % 2 == 0) for number, step in enumerate(STEPS)]
    for request, scored in zip(requests, subject.score(requests), strict=True):
        assert np.isfinite(scored.spans[0].entropies[1:]).all() == request.entropy
        np.testing.assert_allclose(scored.spans[0].logprobs, scores(subject, request._replace(entropy=False)), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("batch_tokens", [1, 700, 1500, 100_000])
def test_the_size_of_a_batch_does_not_matter(scorer: Scorers, model_folder: Folders, batch_tokens: int) -> None:
    batched = HFScorer(str(model_folder("smol", "gpt2")), device="cpu", batch_tokens=batch_tokens)
    requests = [whole(TRACE[step.start :], "<think>\n") for step in reversed(STEPS)]
    for request, scored in zip(requests, batched.score(requests), strict=True):
        np.testing.assert_allclose(scored.spans[0].logprobs, scores(scorer("smol", "gpt2"), request), rtol=0, atol=TOLERANCE)


@every_model
def test_a_left_padded_batch_of_transformers_gives_the_same_scores(
    scorer: Scorers, model_folder: Folders, family: str, architecture: str
) -> None:
    subject, folder = scorer(family, architecture), model_folder(family, architecture)
    context = chat_context(subject)
    texts = [TRACE[: step.end] for step in STEPS[::2]]
    rows = [naive_ids(folder, family, context + text) for text in texts]
    longest = max(len(ids) for ids, _ in rows)
    padding = [longest - len(ids) for ids, _ in rows]
    ids = torch.tensor([[5] * pad + row for (row, _), pad in zip(rows, padding, strict=True)])
    mask = torch.tensor([[0] * pad + [1] * len(row) for (row, _), pad in zip(rows, padding, strict=True)])
    with torch.inference_mode():
        logits = plain_model(folder)(input_ids=ids, attention_mask=mask, position_ids=(mask.cumsum(-1) - 1).clamp(min=0)).logits
    table = torch.log_softmax(logits.float(), dim=-1)
    for number, (text, (row, offsets), pad) in enumerate(zip(texts, rows, padding, strict=True)):
        places = range(first_at(offsets, len(context)), len(row))
        expected = [float(table[number, pad + place - 1, row[place]]) for place in places]
        np.testing.assert_allclose(scores(subject, whole(text, context)), expected, rtol=0, atol=TOLERANCE)


def test_nothing_is_asked_and_nothing_comes_back(scorer: Scorers) -> None:
    subject = scorer("llama3", "llama")
    assert subject.score([]) == []
    assert subject.score([ScoreRequest("a", "b", [])])[0].spans == []
    [scored] = subject.score([ScoreRequest("a", "", [Span(0, 0)])])
    assert len(scored.spans[0].logprobs) == 0


@every_family
def test_the_very_first_token_has_a_score_only_after_a_bos(scorer: Scorers, family: str) -> None:
    subject = scorer(family, "llama")
    actual = scores(subject, whole("So the answer is 0."))
    assert np.isnan(actual[0]) == (subject.tokens.bos_id is None)
    assert np.isfinite(actual[1:]).all()


def test_one_token_without_bos_and_context_is_nan(scorer: Scorers) -> None:
    subject = scorer("smol", "gpt2")
    assert subject.tokens.count("So") == 1
    assert np.isnan(scores(subject, whole("So"))).tolist() == [True]
    [alone, text] = subject.score([whole("So"), whole("So the answer")])
    assert alone.windows == text.windows == 1


# --- values known by hand


def test_surprisals_equal_a_table_written_by_hand(table_folder: Path) -> None:
    text = "sun rain\n\nwind wind\n\nrain sun\n\nsun"
    actual = scores(HFScorer(str(table_folder), device="cpu"), ScoreRequest("", text, visible_steps(text), 1))
    # p(sun | <s>) = 1/2, p(wind | rain) = 1/8, p(rain | wind) = 1/100, p(sun | sun) = 1/20
    np.testing.assert_allclose(-actual, [0.6931472, 2.0794415, 4.6051702, 2.9957323], rtol=0, atol=TOLERANCE)


def test_every_token_equals_a_table_written_by_hand(table_folder: Path) -> None:
    actual = scores(HFScorer(str(table_folder), device="cpu"), whole("rain rain sun wind wind"))
    np.testing.assert_allclose(np.exp(actual), [0.25, 0.5, 0.25, 0.1, 0.97], rtol=0, atol=TOLERANCE)


def test_the_context_conditions_the_first_token(table_folder: Path) -> None:
    subject = HFScorer(str(table_folder), device="cpu")
    after = {word: np.exp(scores(subject, whole("rain", f"{word}\n")))[0] for word in ("sun", "rain", "wind")}
    assert after == pytest.approx({"sun": 0.8, "rain": 0.5, "wind": 0.01}, abs=TOLERANCE)


@pytest.mark.parametrize("context_tokens", [4, 5, 8, 13, 64])
@pytest.mark.parametrize("context", ["", "wind", "wind sun wind sun wind sun rain"])
def test_windows_of_any_size_give_the_values_of_the_table(table_folder: Path, context_tokens: int, context: str) -> None:
    words = ["sun", "rain", "rain", "wind", "sun", "wind", "wind"] * 7
    before = [context.split()[-1] if context else "<s>", *words]
    expected = [TABLE[left][right] for left, right in zip(before, words, strict=False)]
    subject = HFScorer(str(table_folder), device="cpu", context_tokens=context_tokens)
    [scored] = subject.score([whole(" ".join(words), context + " " if context else "")])
    np.testing.assert_allclose(np.exp(scored.spans[0].logprobs), expected, rtol=0, atol=TOLERANCE)
    assert (scored.windows == 1) == (len(words) + len(context.split()) <= context_tokens)


# --- windows

LONG = (TRACE + "\n\n") * 3
LIMIT = 256


@pytest.fixture
def twins(model_folder: Folders) -> Callable[[str, str], tuple[HFScorer, HFScorer]]:
    """The same weights twice: with a short context, and with one that holds everything."""

    def make(family: str, architecture: str) -> tuple[HFScorer, HFScorer]:
        folder = str(model_folder(family, architecture))
        return HFScorer(folder, device="cpu", context_tokens=LIMIT), HFScorer(folder, device="cpu")

    return make


Twins = Callable[[str, str], tuple[HFScorer, HFScorer]]
windowed_pairs = pytest.mark.parametrize(
    ("family", "architecture"), [("r1", "llama"), ("smol", "gpt2"), ("sentencepiece", "gemma2"), ("qwen", "qwen2")]
)


def naive_windows(model: torch.nn.Module, prefix: list[int], text: list[int], limit: int) -> tuple[list[float], int]:
    """The documented layout, token by token: half a stretch further on each time a target no longer fits."""
    if len(prefix) > limit // 2:
        prefix = [prefix[0], *prefix[len(prefix) - (limit // 2 - 1) :]]
    start, windows, values, stretch = 0, 1, list[float](), limit - len(prefix) + 1
    table = full_logprobs(model, prefix + text[:stretch])
    for place in range(len(text)):
        if place - start >= stretch:
            start += stretch // 2
            windows += 1
            table = full_logprobs(model, prefix + text[start : start + stretch])
        row = len(prefix) + place - start - 1
        values.append(table[row] if row >= 0 else math.nan)
    return values, windows


@windowed_pairs
@pytest.mark.parametrize("with_context", [True, False], ids=["chat", "none"])
def test_windowed_scores_equal_a_naive_computation_of_the_same_windows(
    twins: Twins, model_folder: Folders, family: str, architecture: str, with_context: bool
) -> None:
    short, _ = twins(family, architecture)
    context = chat_context(short)[:120] if with_context else ""
    ids, offsets = naive_ids(model_folder(family, architecture), family, context + LONG)
    first = first_at(offsets, len(context))
    expected, windows = naive_windows(plain_model(model_folder(family, architecture)), ids[:first], ids[first:], LIMIT)
    [scored] = short.score([whole(LONG, context)])
    np.testing.assert_allclose(scored.spans[0].logprobs, expected, rtol=0, atol=TOLERANCE)
    assert scored.windows == windows > 3


@windowed_pairs
def test_inside_the_first_window_nothing_changes(twins: Twins, family: str, architecture: str) -> None:
    short, long = twins(family, architecture)
    context = chat_context(short)[:120]
    prefix = short.tokens.count(context) + (short.tokens.bos_id is not None)
    inside = LIMIT - prefix - 1
    left, right = scores(short, whole(LONG, context)), scores(long, whole(LONG, context))
    np.testing.assert_allclose(left[:inside], right[:inside], rtol=0, atol=TOLERANCE)
    assert np.abs(left - right)[inside + 5 :].max() > TOLERANCE  # later ones do miss what the window left out


def test_windows_lose_nothing_of_a_model_that_looks_back_less_than_half_of_one(twins: Twins) -> None:
    """Two layers of a sliding window of 8 tokens see 15 tokens back; positions are relative."""
    short, long = twins("llama3", "mistral")
    np.testing.assert_allclose(scores(short, whole(LONG)), scores(long, whole(LONG)), rtol=0, atol=TOLERANCE)


@windowed_pairs
def test_steps_get_the_scores_of_their_tokens_in_windows_too(twins: Twins, family: str, architecture: str) -> None:
    short, _ = twins(family, architecture)
    steps = visible_steps(LONG)
    [everything] = short.score([whole(LONG)])
    [scored] = short.score([ScoreRequest("", LONG, steps, 1)])
    ends = everything.spans[0].ends.tolist()
    for tokens in scored.spans:
        place = ends.index(int(tokens.ends[0]))  # the first of the tokens that a character may have
        assert tokens.logprobs[0] == pytest.approx(everything.spans[0].logprobs[place], abs=TOLERANCE, nan_ok=True)
    assert np.isfinite([tokens.logprobs[0] for tokens in scored.spans[1:]]).all()


@pytest.mark.parametrize("family", ["r1", "qwen"])
def test_a_context_over_half_the_limit_keeps_its_first_token_and_its_end(twins: Twins, model_folder: Folders, family: str) -> None:
    short, _ = twins(family, "llama")
    context = LONG + chat_context(short)
    ids, offsets = naive_ids(model_folder(family, "llama"), family, context + LONG)
    first = first_at(offsets, len(context))
    expected, windows = naive_windows(plain_model(model_folder(family, "llama")), ids[:first], ids[first:], LIMIT)
    [scored] = short.score([whole(LONG, context)])
    np.testing.assert_allclose(scored.spans[0].logprobs, expected, rtol=0, atol=TOLERANCE)
    assert scored.windows == windows
    laid = Windowed.of(whole(LONG, context), short.tokens, LIMIT)
    assert all(window.ids[0] == ids[0] and len(window.ids) <= LIMIT for window in laid.windows)


def test_a_bos_stays_in_every_window(twins: Twins) -> None:
    short, _ = twins("r1", "llama")
    for context in ("", "a", LONG):
        windows = Windowed.of(whole(LONG, context), short.tokens, LIMIT).windows
        assert all(window.ids.tolist().count(short.tokens.bos_id) == 1 for window in windows)
        assert all(window.ids[0] == short.tokens.bos_id for window in windows)


def test_the_limit_of_the_configuration_is_kept(model_folder: Folders) -> None:
    """GPT-2 has no position beyond its limit: one token too many would be an error."""
    subject = HFScorer(str(model_folder("smol", "gpt2", n_positions=64)), device="cpu")
    assert subject.context_tokens == 64
    for text in (LONG, "So"):
        for context in ("", "So\n", LONG):
            [scored] = subject.score([whole(text, context)])
            assert np.isfinite(scored.spans[0].logprobs[bool(not context) :]).all()


@pytest.mark.parametrize("extra", [-1, 0, 1, 2])
def test_a_text_that_just_fits_is_one_window(scorer: Scorers, model_folder: Folders, extra: int) -> None:
    count = scorer("r1", "llama").tokens.count(TRACE)
    subject = HFScorer(str(model_folder("r1", "llama")), device="cpu", context_tokens=count + extra)
    [scored] = subject.score([whole(TRACE)])  # with BOS and without the last token, which is not read, count tokens are read
    assert scored.windows == (1 if extra >= 0 else 2)
    assert np.isfinite(scored.spans[0].logprobs).all()


def test_windows_without_a_wanted_token_are_not_run(twins: Twins) -> None:
    short, _ = twins("llama3", "llama")
    [scored] = short.score([ScoreRequest("", LONG, [Span(0, 5), Span(len(LONG) - 20, len(LONG))], 1)])
    assert scored.windows == 2
    assert np.isfinite([tokens.logprobs[0] for tokens in scored.spans]).all()


def test_windowed_scores_do_not_depend_on_neighbours_either(twins: Twins, model_folder: Folders) -> None:
    short, _ = twins("r1", "qwen2")
    batched = HFScorer(str(model_folder("r1", "qwen2")), device="cpu", context_tokens=LIMIT, batch_tokens=1024)
    requests = [whole(LONG), whole(TRACE), whole(LONG[40:], QUESTION)]
    for request, scored in zip(requests, batched.score(requests), strict=True):
        np.testing.assert_allclose(scored.spans[0].logprobs, scores(short, request), rtol=0, atol=TOLERANCE)


# --- precision, workers


@pytest.mark.parametrize(("family", "architecture"), [("r1", "qwen2"), ("sentencepiece", "gemma2"), ("smol", "gpt2")])
def test_bfloat16_is_close_to_float32(scorer: Scorers, model_folder: Folders, family: str, architecture: str) -> None:
    exact = scorer(family, architecture)
    rough = HFScorer(str(model_folder(family, architecture)), device="cpu", dtype="bfloat16")
    assert (exact.identity["dtype"], rough.identity["dtype"]) == ("float32", "bfloat16")
    request = whole(TRACE, chat_context(exact))
    difference = np.abs(scores(rough, request) - scores(exact, request))
    assert 0 < np.median(difference) < BFLOAT16_MEDIAN
    assert difference.max() < BFLOAT16_MAX


def test_a_scorer_travels_to_a_worker(model_folder: Folders) -> None:
    original = HFScorer(str(model_folder("r1", "qwen2")), spec="hf:mine", device="cpu", context_tokens=LIMIT, batch_tokens=512)
    packed = pickle.dumps(original)
    copy = pickle.loads(packed)
    assert len(packed) < 1000
    assert copy.identity == original.identity
    assert (copy.context_tokens, copy.batch_tokens) == (LIMIT, 512)
    np.testing.assert_array_equal(scores(copy, whole(LONG)), scores(original, whole(LONG)))


def test_identity_follows_the_weights_and_not_the_place(model_folder: Folders, tmp_path: Path) -> None:
    folder = model_folder("r1", "qwen2")
    before = HFScorer(str(folder), device="cpu").identity
    assert before == {
        "spec": f"hf:{folder}",
        "model": folder.name,
        "revision": before["revision"],
        "dtype": "float32",
    }
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    for name in ("manifest.json", "settings.json", "stage.json"):  # of `asap train` and `asap reproduce`
        (copy / name).write_text("{}")
    assert HFScorer(str(copy), device="cpu").identity["revision"] == before["revision"]
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-2] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert HFScorer(str(copy), device="cpu").identity["revision"] != before["revision"]
