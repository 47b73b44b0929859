"""`asap compare`: every method at every ratio on the same rows, judged once, resumable, with the numbers that a plain way gives."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from asap.cli import run
from asap.compare.support import Judge
from asap.lm import Scorer, load_scorer
from asap.prune.support import target_of
from asap.sample import Sample
from run_fixtures import model_folder, prune, read_rows, refusal, row, write_rows

METHODS = "asap,asap-fine,mean-surprisal,random,keep-tail,spirit"
CODE = "```python\ndef add(a, b):\n    return a + b\n```"


def coded(number: int) -> dict[str, Any]:
    made = row(number, steps=6)
    return {**made, "cot": made["cot"] + "\n\n```python\nx = 1\n\ny = 2\n```", "answer": f"So:\n\n{CODE}\n\nThat is number {number}."}


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return load_scorer(f"hf:{model_folder()}")


def words(source: Path, out: Path, *options: str) -> list[str]:
    return [
        "compare",
        str(source),
        "--out",
        str(out),
        "--scorer",
        f"hf:{model_folder()}",
        "--methods",
        METHODS,
        "--ratios",
        "0.5,0.25",
        *options,
    ]


def test_every_row_method_ratio_and_measure_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [*(coded(number) for number in range(6)), "no JSON"])
    out = tmp_path / "out"
    assert run(words(source, out)) == 0
    said = capsys.readouterr()
    judged = read_rows(out / "judged.jsonl")
    assert len(judged) == 6 * 6 * 2 * 2
    assert {one["method"] for one in judged} == set(METHODS.split(","))
    for one in judged:
        assert one["tokens"] <= one["ratio"] * one["tokens_before"] or one["tokens"] < 60  # one step always stays
    for row_id in {one["id"] for one in judged}:
        for measure in ("support", "support without code"):
            fixed = {(one["value_none"], one["value_full"]) for one in judged if (one["id"], one["measure"]) == (row_id, measure)}
            assert len(fixed) == 1
    for name in ("table.md", "table.csv", "table.tex", "table.html"):
        text = (out / name).read_text()
        assert all(method in text.replace("\\", "") for method in METHODS.split(","))
    assert "The judge is the scorer itself" in said.out
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["rows"] == 6
    assert "verdicts made" in said.err
    before = (out / "judged.jsonl").read_bytes(), (out / "table.md").read_bytes()
    assert run(words(source, out)) == 0
    assert ", 0 verdicts made" in capsys.readouterr().err
    assert before == ((out / "judged.jsonl").read_bytes(), (out / "table.md").read_bytes())


def test_more_ratios_and_methods_are_judged_in_the_same_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [coded(number) for number in range(3)])
    for out, methods, ratios in (("out", "asap", "0.25"), ("out", METHODS, "0.75,0.25"), ("at once", METHODS, "0.75,0.25")):
        assert run([*words(source, tmp_path / out)[:-4], "--methods", methods, "--ratios", ratios]) == 0
    assert (tmp_path / "out" / "judged.jsonl").read_bytes() == (tmp_path / "at once" / "judged.jsonl").read_bytes()


def test_the_pruned_traces_are_those_of_asap_prune(tmp_path: Path, scorer: Scorer) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [coded(number) for number in range(3)])
    assert run(words(source, tmp_path / "out")) == 0
    judged = {(one["id"], one["method"], one["ratio"], one["measure"]): one for one in read_rows(tmp_path / "out" / "judged.jsonl")}
    asked = {"asap": [], "asap-fine": ["--coarse", "none"], "spirit": ["--method", "spirit"], "random": ["--method", "random"]}
    with Judge.open(scorer, tmp_path / "judge") as judge:
        for method, options in asked.items():
            out = prune(source, tmp_path / method, "--ratio", "0.25", *options)
            decisions = {decision["id"]: decision for decision in read_rows(out / "decisions.jsonl")}
            originals = {one["id"]: one for one in read_rows(source)}
            for pruned in read_rows(out / "pruned.jsonl"):
                one = judged[pruned["id"], method, 0.25, "support"]
                assert one["tokens"] == decisions[pruned["id"]]["tokens_after"]
                sample = Sample(pruned["id"], pruned["question"], originals[pruned["id"]]["cot"], pruned["answer"])
                assert judge.support(sample, pruned["cot"]) == one["value"]
                assert judge.support(sample, "") == one["value_none"]
                assert judge.support(sample, sample.cot) == one["value_full"]


def test_support_is_the_mean_log_probability_of_the_code_alone(tmp_path: Path, scorer: Any) -> None:
    sample = Sample("a", "What is the sum?", "first check\n\nthen again", f"Look:\n\n{CODE}\n\nDone.")
    with Judge.open(scorer, tmp_path) as judge:
        support = judge.support(sample, "then again")
        assert judge.support(sample, "then again") == support
        assert judge.asked == 1
    code = "def add(a, b):\n    return a + b"
    before = "user: What is the sum?\nassistant: <think>\nthen again\n</think>\n\n```python\n"
    encoded = scorer.tokens.encode(before + code)
    ids = encoded.ids.tolist()
    bos = scorer.tokens.bos_id
    ids = ids if bos is None or ids[0] == bos else [bos, *ids]
    shift = len(ids) - len(encoded.ids)
    with torch.inference_mode():
        table = torch.log_softmax(scorer.model(torch.tensor([ids])).logits[0].double(), dim=-1)
    wanted = [number + shift for number in range(len(encoded.ids)) if encoded.ends[number] > len(before)]
    assert support == pytest.approx(sum(float(table[place - 1, ids[place]]) for place in wanted) / len(wanted), abs=1e-4)


def test_without_code_a_trace_cannot_be_copied(tmp_path: Path, scorer: Scorer) -> None:
    sample = Sample("a", "Q?", f"think\n\n{CODE}", f"{CODE}")
    with Judge.open(scorer, tmp_path) as judge:
        assert judge.support(sample, sample.cot, with_code=False) == judge.support(sample, "think\n", with_code=False)
        assert judge.support(sample, sample.cot) != judge.support(sample, sample.cot, with_code=False)


@pytest.mark.parametrize(
    ("answer", "lead", "text"),
    [
        (f"Look:\n\n{CODE}\n\nThat is it.", "```python\n", "def add(a, b):\n    return a + b"),
        (r"So \boxed{1} is wrong, and the answer is $\boxed{\frac{1}{2}}$.", "The final answer is ", r"\boxed{\frac{1}{2}}"),
        (r"An unclosed \boxed{1", "", r"An unclosed \boxed{1"),
        ("It is 7.", "", "It is 7."),
    ],
)
def test_what_the_judge_is_asked_about(answer: str, lead: str, text: str) -> None:
    assert target_of(Sample("a", "q", "c", answer)) == (lead, text)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--methods", "nonsense"], "unknown method 'nonsense'"),
        (["--methods", "random,random"], "each once"),
        (["--methods", "original"], "unknown method 'original'"),
        (["--ratios", "0.5,1"], "ratio 1 is not between 0 and 1"),
        (["--ratios", "half"], "--ratios is 'half'"),
        (["--limit", "0"], "--limit is 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(0)])
    command = words(source, tmp_path / "out")
    for name, value in zip(options[::2], options[1::2], strict=True):
        if name in command:
            command[command.index(name) + 1] = value
        else:
            command += [name, value]
    assert expected in refusal(capsys, *command, lines=None)
