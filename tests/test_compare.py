"""`asap compare`: every method at every ratio on the same rows, judged once, resumable, with the numbers that a plain way gives."""

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from asap.cli import run
from asap.compare.copies import Copies
from asap.compare.support import SupportScorer
from asap.lm.scorer import Scorer
from asap.lm.specs import load_scorer
from asap.prune.support import target_of
from asap.sample import Sample
from run_fixtures import model_folder, prune, read_decisions, read_rows, refusal, row, write_rows

MEASURES = ("support without copies", "support")
METHODS = "asap,asap-fine,mean-surprisal,random,keep-tail,spirit"
CODE = "```python\ndef add(a, b):\n    return a + b\n```"


def coded(number: int) -> dict[str, Any]:
    made = row(number, steps=6)
    return {**made, "cot": made["cot"] + "\n\n```python\nx = 1\n\ny = 2\n```", "answer": f"So:\n\n{CODE}\n\nThat is number {number}."}


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return load_scorer(f"hf:{model_folder()}")


def words(source: Path, out: Path, *options: str, methods: str = METHODS) -> list[str]:
    return [
        "compare",
        str(source),
        "--out",
        str(out),
        "--scorer",
        f"hf:{model_folder()}",
        "--methods",
        methods,
        "--ratios",
        "0.5,0.25",
        *options,
    ]


def test_every_row_method_ratio_and_measure_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [*(coded(number) for number in range(6)), "no JSON"])
    out = tmp_path / "out"
    assert run(words(source, out, "--strip", "both")) == 0
    said = capsys.readouterr()
    judged = read_rows(out / "judged.jsonl")
    assert len(judged) == 6 * 6 * 2 * 2
    assert {one["measure"] for one in judged} == {*MEASURES}
    assert {one["method"] for one in judged} == set(METHODS.split(","))
    for one in judged:
        assert one["tokens"] <= one["ratio"] * one["tokens_before"] or one["tokens"] < 60  # one step always stays
    for row_id in {one["id"] for one in judged}:
        for measure in MEASURES:
            fixed = {(one["value_none"], one["value_full"]) for one in judged if (one["id"], one["measure"]) == (row_id, measure)}
            assert len(fixed) == 1
    for name in ("table.md", "table.csv", "table.tex", "table.html"):
        text = (out / name).read_text()
        assert all(method in text.replace("\\", "") for method in METHODS.split(","))
    assert "The judge is the scorer itself" in said.out
    manifest = json.loads((out / "manifest.json").read_text())
    counts = {"rows": 7, "rejected": 1, "rejected_by": {"bad_json": 1}, "judged": 6, "problems": 6, "windowed": 0}
    assert manifest["counts"] == counts
    assert "1 of 7 rows read could not be used" in (out / "table.md").read_text()
    assert manifest["settings"]["runs"]["asap"]["template_hash"] == manifest["settings"]["runs"]["spirit"]["template_hash"]
    assert "verdicts made" in said.err
    before = (out / "judged.jsonl").read_bytes(), (out / "table.md").read_bytes()
    assert run(words(source, out, "--strip", "both")) == 0
    assert ", 0 verdicts made" in capsys.readouterr().err
    assert before == ((out / "judged.jsonl").read_bytes(), (out / "table.md").read_bytes())


def test_more_ratios_and_methods_are_judged_in_the_same_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [coded(number) for number in range(3)])
    for out, methods, ratios in (("out", "asap", "0.25"), ("out", METHODS, "0.75,0.25"), ("at once", METHODS, "0.75,0.25")):
        assert run([*words(source, tmp_path / out)[:-4], "--methods", methods, "--ratios", ratios]) == 0
    assert (tmp_path / "out" / "judged.jsonl").read_bytes() == (tmp_path / "at once" / "judged.jsonl").read_bytes()


@pytest.mark.parametrize(
    "ends", [[], ["--keep-first", "1", "--keep-last", "2"], ["--step-split", "line"]], ids=["all", "ends kept", "lines"]
)
def test_the_pruned_traces_are_those_of_asap_prune(ends: list[str], tmp_path: Path, scorer: Scorer) -> None:
    rows = [coded(number) for number in range(3)]
    source = write_rows(
        tmp_path / "rows.jsonl", [{**one, "cot": one["cot"].replace("\n\n", "\n") if "line" in ends else one["cot"]} for one in rows]
    )
    methods = f"{METHODS},step-entropy,leave-one-out,alignment"
    assert run(words(source, tmp_path / "out", *ends, "--strip", "none", methods=methods)) == 0
    judged = {(one["id"], one["method"], one["ratio"], one["measure"]): one for one in read_rows(tmp_path / "out" / "judged.jsonl")}
    plain = [name for name in methods.split(",") if name not in ("asap", "asap-fine")]
    asked = {"asap": [], "asap-fine": ["--coarse", "none"], **{name: ["--method", name] for name in plain}}
    said = "Of each trace's steps the first 1 and the last 2 always stay" in (tmp_path / "out" / "table.md").read_text()
    assert said == ("--keep-first" in ends)
    with SupportScorer.open(scorer, tmp_path / "judge") as judge:
        for method, options in asked.items():
            out = prune(source, tmp_path / method, "--ratio", "0.25", *ends, *options)
            decisions = {decision["id"]: decision for decision in read_decisions(out)}
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
    with SupportScorer.open(scorer, tmp_path) as judge:
        support = judge.support(sample, "then again")
        assert judge.support(sample, "then again") == support
        assert judge.computed == 1
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


@pytest.mark.parametrize("support", ["'low'", "x'00'", "9e999"])
def test_a_damaged_support_is_measured_anew(support: str, tmp_path: Path, scorer: Any) -> None:
    sample = Sample("x", "What is 1?", "It is 1.", f"Look:\n\n{CODE}")
    with SupportScorer.open(scorer, tmp_path) as judge:
        measured = judge.support(sample, sample.cot)
    with closing(sqlite3.connect(tmp_path / "judge.sqlite")) as database:
        database.execute(f"UPDATE verdicts SET support = {support}")
        database.commit()
    for computed in (1, 0):
        with SupportScorer.open(scorer, tmp_path) as judge:
            assert judge.support(sample, sample.cot) == measured
            assert judge.computed == computed


def test_copies_are_blanked_in_what_the_judge_reads_and_counted(tmp_path: Path, scorer: Scorer, capsys: pytest.CaptureFixture[str]) -> None:
    copied = "def add(a, b):\n    return a + b  # the sum"
    rows = [coded(0), row(1, steps=4), {**row(2, steps=3), "answer": r"It is \boxed{7}."}]
    rows[0]["cot"] += f"\n\n{copied}\n\ndef add(x, y): pass\n\ndef add(x, y):"
    rows[2]["cot"] += "\n\nSo it is 7, or 7.0, not 77."
    source = write_rows(tmp_path / "rows.jsonl", rows)
    few, all_kinds = "random,keep-tail", "random,keep-tail,selective-context"
    for out, options in (("out", []), ("both", ["--strip", "both"]), ("none", ["--strip", "none"])):
        assert run(words(source, tmp_path / out, *options, methods=few if options else all_kinds)) == 0
    judged = read_rows(tmp_path / "out" / "judged.jsonl")
    assert {one["measure"] for one in judged} == {"support without copies"}
    tail = {one["id"]: one for one in judged if (one["method"], one["ratio"]) == ("keep-tail", 0.25)}
    assert [tail[name]["answer_lines_full"] for name in ("r0", "r1", "r2")] == [1.0, None, 1.0]
    assert [tail[name]["near_copies_full"] for name in ("r0", "r1", "r2")] == [1, None, 1]
    assert [tail[name]["answer_lines"] for name in ("r0", "r1", "r2")] == [0.0, None, 1.0]  # two lines behind the code
    texts = {one["id"]: one["cot"] for one in rows}
    texts["r0"] = texts["r0"].replace(copied, "\n")
    texts["r2"] = texts["r2"].replace(" 7,", ",")
    with SupportScorer.open(scorer, tmp_path / "judge") as judge:
        for one in rows:
            sample = Sample(one["id"], one["question"], one["cot"], one["answer"])
            assert judge.support(sample, texts[one["id"]]) == tail[one["id"]]["value_full"]
    assert "In 1 rows nothing could be blanked" in (tmp_path / "out" / "table.md").read_text()
    assert "nothing could be blanked" not in (tmp_path / "none" / "table.md").read_text()
    both, none = (read_rows(tmp_path / out / "judged.jsonl") for out in ("both", "none"))
    assert [one for one in both if one["measure"] == "support"] == none
    assert [one for one in both if one["measure"] != "support"] == [one for one in judged if one["method"] != "selective-context"]
    capsys.readouterr()
    assert run(words(source, tmp_path / "none", "--strip", "both", methods=few)) == 0
    assert (tmp_path / "none" / "judged.jsonl").read_bytes() == (tmp_path / "both" / "judged.jsonl").read_bytes()


def test_rows_of_one_problem_are_counted_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {**row(number, steps=4), "of": {"problem": number}, "problem_id": number // 2, "level": None if number else 3.0}
        for number in range(6)
    ]
    rows[5]["question"] = rows[4]["question"]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    few = "random,keep-tail"
    assert run(words(source, tmp_path / "out", methods=few)) == 0
    assert "6 rows on 5 problems; pruned" in capsys.readouterr().out
    assert run(words(source, tmp_path / "out", "--cluster", "problem_id", methods=few)) == 0
    said = capsys.readouterr()
    assert "6 rows on 3 problems (by problem_id); pruned" in said.out
    assert ", 0 verdicts made" in said.err
    assert {one["id"]: one["cluster"] for one in read_rows(tmp_path / "out" / "judged.jsonl")} == {f"r{n}": str(n // 2) for n in range(6)}
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["counts"]["problems"] == 3
    assert run(words(source, tmp_path / "out", "--cluster", "level", methods=few)) == 0
    assert "1 rows on 1 problems (by level)" in capsys.readouterr().out
    lost = json.loads((tmp_path / "out" / "manifest.json").read_text())["rows_without_numbers"]
    assert [(one["id"], one["reason"]) for one in lost] == [(f"r{number}", "no_cluster") for number in range(1, 6)]
    said_no = refusal(capsys, *words(source, tmp_path / "other", "--cluster", "nothing", methods=few))
    assert "--cluster is 'nothing', which the first row does not have; its other columns are: 'of', 'problem_id', 'level'" in said_no
    assert not (tmp_path / "other").exists()


def test_what_cannot_be_judged_is_refused_before_anything_is_pruned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = write_rows(tmp_path / "rows.jsonl", [coded(0)]), tmp_path / "out"
    for options in (["--judge", f"hf:{tmp_path}/nowhere"], ["--generate", "8"], ["--classifier", str(tmp_path)]):
        methods = "asap,llmlingua2" if "--classifier" in options else METHODS
        assert run(words(source, out, *options, methods=methods)) in (1, 2)
        assert "to score" not in capsys.readouterr().err
    assert "name one of them" in refusal(capsys, *words(source, out, methods="llmlingua2,tokenskip"))
    said_no = refusal(capsys, *words(source, out, "--generate", "8", "--tests", "me/rows"))
    assert "--tests me/rows is no file; give one with tests or gold answers by id, JSONL or Parquet" in said_no


def test_rows_longer_than_the_judges_context_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asap.lm.causal_lm.context_limit", lambda config: 96)
    source = write_rows(tmp_path / "rows.jsonl", [row(0, steps=1, words=1), row(1, steps=30)])
    assert run(words(source, tmp_path / "out")) == 0
    assert "1 rows are longer than the context" in (tmp_path / "out" / "table.md").read_text()


def test_without_stage_one_asap_is_judged_once(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [coded(0)])
    assert run([*words(source, tmp_path / "out"), "--coarse", "none"]) == 0
    assert {one["method"] for one in read_rows(tmp_path / "out" / "judged.jsonl")} == {*METHODS.split(",")} - {"asap-fine"}


def test_without_matplotlib_the_plot_is_not_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    source = write_rows(tmp_path / "rows.jsonl", [coded(0)])
    assert run(words(source, tmp_path / "out", methods="keep-tail")) == 0
    said = capsys.readouterr()
    assert "pareto.png" not in said.out
    assert "pip install" in said.err
    assert "Without random among the methods" in said.out


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
    ("question", "answer", "text"),
    [
        ("What are 2 and 2?", "2 + 2 is 4.\n\n**Answer:** It is \\$4.", r"\boxed{4}"),
        ("What are 2 and 2?", "2 + 2 = 4\n#### 4", r"\boxed{4}"),
        ("What are 2 and 2?", "The answer is 1,000.5.", r"\boxed{1,000.5}"),
        ("What are 2 and 2?", "Answer: 3 loaves cost 4 more.", None),
        ("What are 2 and 2?", "Answer: 4, or maybe 5.", None),
        ("What are 2 and 2?", "It is 4.", None),
        ("Who was it?", "Answer: the king of 1789.", None),
    ],
)
def test_a_result_without_a_box_is_asked_about_where_the_answer_names_it(question: str, answer: str, text: str | None) -> None:
    sample = Sample("a", question, "It is 4, or 1,000.5.", answer)
    assert target_of(sample) == (("The final answer is ", text) if text else ("", answer))
    assert (Copies.find(sample).of is not None) is (text is not None)
    assert text is None or Copies.find(sample).left().answer_lines == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--methods", "nonsense"], "unknown method 'nonsense'"),
        (["--methods", "random,random"], "each once"),
        (["--methods", "original"], "unknown method 'original'"),
        (["--ratios", "0.5,1"], "ratio 1 is not between 0 and 1"),
        (["--ratios", "half"], "--ratios: 'half' is not a number"),
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
