"""`--max-trace-tokens`: longer traces are rejected by name while rows are read, each turn of a conversation by itself."""

import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_rows import talk
from asap.cli import run
from asap.dataset import RowRules, to_sample
from asap.dataset.row_rules import TraceLimit
from asap.errors import RowError
from asap.lm.specs import load_tokens
from asap.lm.tokens import TokenCounter
from asap.lm.word_cache import by_words
from run_fixtures import model_folder, prune, prune_words, read_decisions, read_rows, refusal, row, same_output, write_rows

METHOD = ["--method", "keep-tail", "--context", "raw"]
LONG = {**row(7, steps=60), "extra": 1}
TALK = talk(str(LONG["cot"]), str(row(1)["cot"]))


@cache
def tokens() -> TokenCounter:
    return load_tokens(f"hf:{model_folder()}")


def count(text: object) -> int:
    return tokens().count(str(text))


LIMIT = count(row(2)["cot"])  # which is just short enough


@pytest.fixture
def source(tmp_path: Path) -> Path:
    assert count(row(1)["cot"]) <= LIMIT < count(LONG["cot"])
    return write_rows(tmp_path / "rows.jsonl", [row(2), LONG, TALK, row(1)])


def test_they_are_rejected_with_their_length_and_never_scored(source: Path, tmp_path: Path) -> None:
    out = prune(source, tmp_path / "out", "--context", "raw", "--max-trace-tokens", str(LIMIT), "--format", "verl")
    rejected = read_rows(out / "rejected.jsonl")
    assert [(one["id"], one["line"], one["reason"]) for one in rejected] == [("r7", 2, "long_trace"), ("talk@1", 3, "long_trace")]
    assert rejected[0]["detail"] == f"the trace has {count(LONG['cot']):,} tokens, and {LIMIT:,} are allowed"
    decisions = read_decisions(out)
    assert [one["id"] for one in decisions] == ["r2", "talk@3", "r1"]
    assert decisions[0]["tokens_before"] == LIMIT
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["settings"]["max_trace_tokens"] == LIMIT
    assert manifest["counts"]["rejected_by"] == {"long_trace": 2}
    card = (out / "README.md").read_text("utf-8")
    assert f"Traces of more than {LIMIT} tokens were rejected (`long_trace`)." in card
    written = {one["id"]: one for one in read_rows(out / "pruned.jsonl")}
    assert written["talk"]["messages"][1] == TALK["messages"][1]  # as it was, and not to be learnt
    learnt = [message.get("trainable") for message in read_rows(out / "verl.jsonl")[1]["messages"]]
    assert [bool(one) for one in learnt] == [False, False, False, True]
    again = prune(source, tmp_path / "again", "--context", "raw", "--max-trace-tokens", str(LIMIT), "--format", "verl")
    same_output(out, again)


def test_a_folder_keeps_its_limit_and_without_one_nothing_changes(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = prune(source, tmp_path / "out", *METHOD)
    assert [one["id"] for one in read_rows(out / "pruned.jsonl")] == ["r2", "r7", "talk", "r1"]
    assert "max_trace_tokens" not in json.loads((out / "manifest.json").read_text())["settings"]
    assert "max_trace_tokens" in refusal(capsys, *prune_words(source, out, *METHOD, "--max-trace-tokens", "90"), lines=None)
    assert "--max-trace-tokens is 0; 1 or more" in refusal(capsys, *prune_words(source, out, *METHOD, "--max-trace-tokens", "0"))


def test_a_dry_run_leaves_them_out(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--json", "prune", str(source), "--scorer", f"hf:{model_folder()}", *METHOD, "--ratio", "0.5", "--dry-run"]
    assert run([*words, "--max-trace-tokens", str(LIMIT)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["usable"], found["rejected_by"]) == (5, 3, {"long_trace": 2})
    assert (found["tokens_longest"], found["tokens"]) == (LIMIT, LIMIT + 2 * count(row(1)["cot"]))


def test_their_answers_are_not_judged(tmp_path: Path) -> None:
    rows = [{**LONG, "answer": "\\boxed{7}", "gold_answer": "8"}, {**row(2), "gold_answer": None}]
    words = prune_words(write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out", *METHOD, "--only-passing")
    assert run([*words, "--max-trace-tokens", str(LIMIT)]) == 2  # no row is left
    reasons = [one["reason"] for one in read_rows(tmp_path / "out" / "rejected.jsonl")]
    assert reasons == ["long_trace", "no_tests"]


@given(st.lists(st.text(st.sampled_from("ab42é漢,."), min_size=1), min_size=4, max_size=20).map(" ".join), st.integers(1, 60))
def test_the_library_counts_as_the_tokenizer_does(cot: str, most: int) -> None:
    rules, value = RowRules(longest=TraceLimit(most, by_words(tokens()).count)), {"id": "a", "question": "?", "cot": cot, "answer": "x"}
    length = count(to_sample(value).sample.cot)
    if length <= most:
        assert to_sample(value, rules=rules) == to_sample(value)
    else:
        with pytest.raises(RowError, match=f"long_trace: the trace has {length} tokens, and {most} are allowed"):
            to_sample(value, rules=rules)
