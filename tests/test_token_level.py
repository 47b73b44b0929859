"""Whole runs of the methods that cut inside steps: the four files, cuts at any budget, TokenSkip's marker, and compare."""

import json
import math
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

from asap.cli import run
from asap.dataset import read_samples
from asap.lm.specs import load_tokens
from asap.prune.methods.tokenskip import draw_gamma
from asap.ratio_marker import marked
from asap.store.work import Store
from run_fixtures import (
    FILES,
    model_folder,
    prune,
    prune_words,
    read_decisions,
    read_rows,
    refusal,
    row,
    same_output,
    tokenizer,
    write_rows,
)

ROWS: list[dict[str, Any] | str] = [
    *(row(number) for number in range(5)),
    "no JSON",
    row(9, steps=1),
    {
        "id": "code",
        "question": "q",
        "cot": "So: the list.\n\n```py\nx = [1,\n     2]\n\n    y = x\n```\n\nYes! 你好 🙂",
        "answer": "a\n",
    },
    {"id": "one", "question": "q", "cot": "word", "answer": "a"},
    {"id": "spaces", "question": "q", "cot": "   so the sum\n  \n is it?  ", "answer": "a"},
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("source") / "rows.jsonl", ROWS)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A random token classifier, small enough that these traces take several chunks."""
    folder, made = tmp_path_factory.mktemp("classifier"), tokenizer()
    backend = made._tokenizer
    special = {"cls_token": "<s>", "sep_token": "</s>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "</s>"}
    PreTrainedTokenizerFast(tokenizer_object=backend, **special).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "initializer_range": 0.5}
    BertForTokenClassification(BertConfig(vocab_size=len(made), max_position_embeddings=42, **sizes)).save_pretrained(folder)
    return str(folder)


@pytest.fixture(params=["phrase", "sentence", "token", "llmlingua2", "digits"])
def options(request: pytest.FixtureRequest, classifier: str) -> list[str]:
    """The options of each way to cut inside steps."""
    selective = ["--method", "selective-context", "--phrases", "regex"]
    lingua = ["--method", "llmlingua2", "--classifier", classifier]
    ways = {"llmlingua2": lingua, "digits": [*lingua, "--keep-digits"]}
    return ways.get(request.param) or [*selective, "--unit", request.param]


def cut(folder: Path, out: Path, *words: str) -> Path:
    assert run(["cut", str(folder), "--out", str(out), *words]) == 0
    return out


def originals(source: Path) -> list[Any]:
    return list(read_samples(str(source), on_reject=lambda rejected: None))


def test_runs_keep_their_promises(source: Path, tmp_path: Path, options: list[str]) -> None:
    out = prune(source, tmp_path / "out", *options)
    assert {path.name for path in out.iterdir()} == FILES
    tokens = load_tokens(f"hf:{model_folder()}")
    pruned, decisions, samples = read_rows(out / "pruned.jsonl"), read_decisions(out), originals(source)
    assert len(pruned) == len(decisions) == len(samples) == len(ROWS) - 1
    for made, decision, sample in zip(pruned, decisions, samples, strict=True):
        assert (made["question"], made["answer"]) == (sample.question, sample.answer)
        assert made["messages"][0]["content"] == sample.question
        assert made["cot"] == "".join(sample.cot[start:end] for start, end in decision["spans"])
        assert decision["tokens_after"] == tokens.count(made["cot"])
        assert decision["tokens_before"] == tokens.count(sample.cot)
        assert sum(decision["units"]["lengths"]) == len(sample.cot)
        assert len(decision["steps"]) == len([step for step in decision["steps"] if step["kept"] or step["removed_by"] == "fine"])
        assert decision["tokens_after"] <= decision["budget"] or len(decision["units"]["scores"]) == 1 or len(decision["spans"]) == 1
        assert made["cot"].strip()
    counts = json.loads((out / "manifest.json").read_text("utf-8"))["counts"]
    assert counts["rows"] == len(ROWS) == counts["pruned"] + counts["unchanged"] + counts["rejected"]
    assert counts["pruned"] >= 6
    assert counts["tokens_after"] < counts["tokens_before"]
    card = (out / "README.md").read_text("utf-8")
    assert "removing words, phrases or sentences" in card
    assert "| inside steps | " in card


def test_a_cut_equals_a_fresh_run_at_any_budget(source: Path, tmp_path: Path, options: list[str]) -> None:
    base = prune(source, tmp_path / "base", "--ratio", "0.8", *options)
    fresh = prune(source, tmp_path / "fresh", "--ratio", "0.35", *options)
    same_output(fresh, cut(base, tmp_path / "cut", "--ratio", "0.35"))
    by_budget = prune(source, tmp_path / "by budget", "--budget", "17", *options)
    same_output(by_budget, cut(fresh, tmp_path / "cut again", "--budget", "17"))
    whole = [made["cot"] for made in read_rows(cut(by_budget, tmp_path / "whole", "--budget", "100000") / "pruned.jsonl")]
    assert whole == [sample.cot for sample in originals(source)]  # nothing to cut: byte for byte


def test_controls_can_be_cut_from_such_a_run(source: Path, tmp_path: Path) -> None:
    base = prune(source, tmp_path / "base", "--method", "selective-context", "--phrases", "regex")
    out = cut(base, tmp_path / "cut", "--ratio", "0.5", "--method", "keep-head")
    fresh = prune(source, tmp_path / "fresh", "--ratio", "0.5", "--method", "keep-head")
    assert (out / "pruned.jsonl").read_bytes() == (fresh / "pruned.jsonl").read_bytes()
    for one, other in zip(read_decisions(out), read_decisions(fresh), strict=True):
        assert one == other


def test_a_run_goes_on_where_it_was(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--method", "selective-context", "--phrases", "regex"]
    out = prune(source, tmp_path / "out", *words)
    before = (out / "decisions.jsonl").read_bytes()
    capsys.readouterr()
    prune(source, out, *words)
    assert "0 traces to score" in capsys.readouterr().err
    assert (out / "decisions.jsonl").read_bytes() == before
    said = refusal(capsys, *prune_words(source, out, *words, "--unit", "token"))
    assert "unit is phrase there and token here" in said


def test_what_the_original_packages_rules_decided_is_of_another_version(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cut by `--faithful` or `--legacy`, which are gone; other decisions of that time can be cut."""
    old = prune(source, tmp_path / "old", "--method", "selective-context", "--phrases", "regex")
    expected = cut(old, tmp_path / "expected", "--ratio", "0.5")
    for rule in ("fit", "units"):
        with Store.open(old) as store, store.transaction():
            for digest, body in store._db.execute("SELECT digest, body FROM decisions"):
                fields = json.loads(zlib.decompress(body))
                fields["units"]["rule"] = rule
                store._db.execute("UPDATE decisions SET body = ? WHERE digest = ?", (zlib.compress(json.dumps(fields).encode()), digest))
        if rule == "fit":
            same_output(expected, cut(old, tmp_path / "cut", "--ratio", "0.5"))
    said = refusal(capsys, "cut", str(old), "--ratio", "0.5", "--out", str(tmp_path / "none"))
    assert "was written by another version of asap (its decisions differ in 'rule'); run asap prune again into another --out" in said


def test_tokenskip_draws_marks_and_leaves_the_rest_alone(tmp_path: Path, classifier: str) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number, steps=12) for number in range(24)])
    words = ["--method", "tokenskip", "--classifier", classifier, "--seed", "3"]
    assert run(["prune", str(source), "--out", str(tmp_path / "out"), "--scorer", f"hf:{model_folder()}", *words, "--format", "trl"]) == 0
    pruned, decisions = read_rows(tmp_path / "out" / "pruned.jsonl"), read_decisions(tmp_path / "out")
    trained = read_rows(tmp_path / "out" / "trl.jsonl")
    gammas = [decision["gamma"] for decision in decisions]
    assert len(set(gammas)) >= 5
    for made, decision, sample, row_of_trl in zip(pruned, decisions, originals(source), trained, strict=True):
        gamma = decision["gamma"]
        assert gamma == draw_gamma(sample, 3)
        assert (made["question"], made["answer"]) == (sample.question, sample.answer)
        assert made["messages"][0]["content"] == row_of_trl["prompt"][0]["content"] == marked(sample.question, gamma)
        assert ("Compression" in made["messages"][0]["content"]) == (gamma < 1)
        assert decision["tokens_after"] <= math.floor(gamma * decision["tokens_before"])
        assert decision["tokens_after"] > (gamma - 0.15) * decision["tokens_before"]
        if gamma == 1.0:
            assert made["cot"] == sample.cot
    backwards = write_rows(tmp_path / "back.jsonl", [row(number, steps=12) for number in reversed(range(24))])
    assert run(["prune", str(backwards), "--out", str(tmp_path / "back"), "--scorer", f"hf:{model_folder()}", *words]) == 0
    again = {made["id"]: made for made in read_rows(tmp_path / "back" / "pruned.jsonl")}
    assert [again[made["id"]] for made in pruned] == pruned  # a draw does not depend on where a row stands
    before = (tmp_path / "out" / "decisions.jsonl").read_bytes()
    assert run(["prune", str(source), "--out", str(tmp_path / "out"), "--scorer", f"hf:{model_folder()}", *words]) == 0
    assert (tmp_path / "out" / "decisions.jsonl").read_bytes() == before
    fixed = cut(tmp_path / "out", tmp_path / "cut", "--ratio", "0.6")
    same_output(prune(source, tmp_path / "fixed", "--ratio", "0.6", *words), fixed)
    assert {decision["gamma"] for decision in read_decisions(fixed)} == {0.6}
    assert all(made["messages"][0]["content"].endswith("[Compression ratio: 0.6]") for made in read_rows(fixed / "pruned.jsonl"))


def test_tokenskip_and_llmlingua2_choose_the_same_words(source: Path, tmp_path: Path, classifier: str) -> None:
    skip = prune(source, tmp_path / "skip", "--method", "tokenskip", "--classifier", classifier, "--ratio", "0.7", "--marker", "none")
    lingua = prune(source, tmp_path / "lingua", "--method", "llmlingua2", "--classifier", classifier, "--ratio", "0.7")
    assert (skip / "pruned.jsonl").read_bytes() == (lingua / "pruned.jsonl").read_bytes()


def test_what_makes_no_sense_is_refused(source: Path, tmp_path: Path, classifier: str, capsys: pytest.CaptureFixture[str]) -> None:
    skip = ["--method", "tokenskip", "--classifier", classifier]
    target = str(tmp_path / "none")
    assert "takes no budget" in refusal(capsys, *prune_words(source, target, *skip, "--budget", "50"))
    assert refusal(capsys, *prune_words(source, target, *skip, "--gammas", "half")) == "Invalid value for --gammas: 'half' is not a number"
    (tmp_path / "list.yaml").write_text("gammas: [1.0, 1.5]\n", encoding="utf-8")
    assert "gamma is 1.5" in refusal(capsys, *prune_words(source, target, *skip, "--config", str(tmp_path / "list.yaml")))
    assert "does not tell the ratio" in refusal(capsys, *prune_words(source, target, *skip, "--marker", "short"))
    assert "leave backfill out" in refusal(capsys, *prune_words(source, target, *skip, "--backfill"))
    assert "has no stage 1" in refusal(capsys, *prune_words(source, target, *skip, "--coarse", "align"))
    assert "does not exist" in refusal(capsys, *prune_words(source, target, "--method", "llmlingua2", "--classifier", "./nowhere"))
    assert not Path(target).exists()
    drawn = tmp_path / "drawn"
    assert run(["prune", str(source), "--out", str(drawn), "--scorer", f"hf:{model_folder()}", *skip]) == 0
    assert "to a --ratio, not to a budget" in refusal(capsys, "cut", str(drawn), "--budget", "9", "--out", target)
    steps = prune(source, tmp_path / "steps")
    words = ["cut", str(steps), "--ratio", "0.5", "--method", "llmlingua2", "--out", target]
    assert "run asap prune --method llmlingua2 first" in refusal(capsys, *words)


def test_compare_names_them(source: Path, tmp_path: Path, classifier: str, capsys: pytest.CaptureFixture[str]) -> None:
    methods, out = "asap,random,selective-context,llmlingua2", tmp_path / "out"
    scorer = ["--scorer", f"hf:{model_folder()}", "--classifier", classifier]
    words = ["compare", str(source), "--out", str(out), *scorer, "--methods", methods, "--ratios", "0.5,0.25"]
    assert run(words) == 0
    judged = read_rows(out / "judged.jsonl")
    assert {one["method"] for one in judged} == set(methods.split(","))
    assert {path.name for path in (out / "runs").iterdir()} == {"asap", "selective-context", "llmlingua2"}
    for one in judged:
        if one["method"] in ("selective-context", "llmlingua2") and one["tokens_before"] > 40:
            assert 0.9 * one["ratio"] * one["tokens_before"] - 12 <= one["tokens"] <= one["ratio"] * one["tokens_before"]
    fresh = prune(source, tmp_path / "fresh", "--ratio", "0.25", "--method", "llmlingua2", "--classifier", classifier)
    expected = {decision["id"]: decision["tokens_after"] for decision in read_decisions(fresh)}
    assert {one["id"]: one["tokens"] for one in judged if (one["method"], one["ratio"]) == ("llmlingua2", 0.25)} == expected
    capsys.readouterr()
    before = (out / "judged.jsonl").read_bytes()
    assert run(words) == 0
    assert ", 0 verdicts made" in capsys.readouterr().err
    assert (out / "judged.jsonl").read_bytes() == before
