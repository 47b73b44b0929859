"""The cheap scripts of experiments/, run: what docs/results says of them is what they print."""

import gzip
import json
import os
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import asap
from asap.cli import run
from asap.compare.copies import Copies
from asap.compare.structure import structure
from asap.lm.specs import load_scorer
from asap.prune.asap import Asap
from asap.prune.settings import AsapSettings
from command_lines import fault_of
from run_fixtures import model_folder, row, write_rows

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"


def output(*words: object) -> str:
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, check=True, capture_output=True, text=True).stdout


def traces(name: str) -> Path:
    if not (data := os.environ.get("ASAP_DATA")):
        pytest.skip("ASAP_DATA is not set: which rows the comparisons choose was NOT checked")
    return Path(data) / "traces" / name


def test_the_copy_meter_prints_the_correlations_of_its_page() -> None:
    page = RESULTS / "compare.md"
    told = output("-m", "experiments.copy_meter", RESULTS)
    assert "all  30 cells: r = 0.87 with copies, 0.22 without" in told
    assert "r = 0.87 (0.84\n  to 0.86 within each ratio), and with the support without copies at 0.22 (-0.13 to 0.12)" in page.read_text(
        "utf-8"
    )
    assert sorted(line.split("r = ")[1][:4] for line in told.splitlines()[1:]) == ["0.84", "0.85", "0.86"]


@pytest.mark.parametrize(
    ("kind", "count", "problems"), [("code", 30, 30), ("fenced", 7, 6), ("shortest", 60, 29), ("passing", 100, 38), ("math", 40, 40)]
)
def test_rows_are_chosen_as_the_comparisons_had_them(kind: str, count: int, problems: int, tmp_path: Path) -> None:
    source = traces("math_r1_qwq.jsonl.gz" if kind == "math" else "kodcode_r1.jsonl.gz")
    output("experiments/choose_rows.py", kind, source, tmp_path / "rows.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text("utf-8").splitlines()]
    assert (len(rows), len({row.get("problem_id", row["question"]) for row in rows})) == (count, problems)


def test_maths_traces_are_laid_out_for_asap_score(tmp_path: Path) -> None:
    output("experiments/maths_traces.py", traces("math_r1_qwq.jsonl.gz"), tmp_path)
    counts = {file.name: len(file.read_text("utf-8").splitlines()) for file in tmp_path.iterdir()}
    assert (counts["gsm8k.jsonl"], counts["math.jsonl"]) == (582, 52)
    assert {count for name, count in counts.items() if name.startswith("gsm8k-")} == {582}
    assert {count for name, count in counts.items() if name.startswith("math-")} == {52}


@pytest.mark.parametrize(
    ("script", "page", "gate"), [("g7_oracle", "oracle.md", "+29.8 [+25.6, +33.9]"), ("g5_experiment", "gpu.md", "-1.4 [-5.1, +2.4]")]
)
def test_tables_of_trainings_are_those_of_the_raw_lines(script: str, page: str, gate: str) -> None:
    files = sorted((RESULTS / "gpu").glob(f"{script[:2]}-*.jsonl"))
    told = output(ROOT / "benchmarks" / "gpu" / f"{script}.py", "table", *files)
    text = (RESULTS / page).read_text("utf-8")
    assert gate in told
    assert gate in text
    if script == "g7_oracle":  # of the other table the page leaves out a column, which it tells in words
        table = [line for line in told.splitlines() if line.startswith("|")]
        assert len(table) == 14
        assert "\n".join(table) in text


def test_the_tables_of_aucs_are_those_of_the_raw_lines(tmp_path: Path) -> None:
    lines = sorted((RESULTS / "oracle").glob("auc-*"))
    output("-m", "experiments.oracle.auc", "--table", "--lines", *lines, "--out", tmp_path / "auc")
    bundled, *larger = (tmp_path / "auc" / "auc.md").read_text("utf-8").split("### gguf")
    by_model = {"alignment", "asap", "asap-fine", "first-token-entropy", "step-entropy", "mean-surprisal"}
    rows = [line for line in bundled.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 * 17
    rows += [line for part in larger for line in part.splitlines() if line.startswith("| ") and line.split("|")[1].strip() in by_model]
    assert len(rows) == 2 * 17 + 4 * 6
    page = (RESULTS / "oracle.md").read_text("utf-8").splitlines()
    assert [line for line in rows if line not in page] == []


def test_the_tables_of_the_held_out_test_are_those_of_the_judged_values() -> None:
    made = output("-m", "experiments.held_out_tables", RESULTS / "held_out").splitlines()
    lines = [line for line in made if line.startswith(("| ", "These bets stay"))]
    assert len(lines) == 17 + 1 + 6 * 15
    assert "These bets stay: experiments.bets.coverage:score." in lines
    page = (RESULTS / "held_out.md").read_text("utf-8").splitlines()
    assert [line for line in lines if line.startswith("| ") and line not in page] == []


def test_the_commands_behind_the_tables_of_methods_are_right(tmp_path: Path) -> None:
    """The whole script on a handful of made rows, with an `asap` that notes what it was asked."""
    response = f"<think>{'So. ' * 1200}```</think>7"
    code = [{"id": one, "problem_id": one, "question": "Add.", "response": response, "passed": True} for one in "abcd"]
    maths = [{"model": "deepseek-ai/DeepSeek-R1", "dataset": "math", "question": "What is 3 + 4?", "response": "<think>So.</think>7"}]
    for name, rows in (("kodcode_r1", code), ("math_r1_qwq", maths)):
        with gzip.open(tmp_path / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "bin").mkdir()
    for name, words in (
        ("asap", 'printf "%q " asap "$@" >> asked; echo >> asked; test -s "$2"'),
        ("python", f'{shlex.quote(sys.executable)} "$@"'),
    ):
        (tmp_path / "bin" / name).write_text(f"#!/usr/bin/env bash\n{words}\n", "utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", str(ROOT / "experiments" / "compare_tables.sh"), str(tmp_path), "hf:JUDGE", str(tmp_path / "out")]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": path}, check=True)
    asked = [shlex.split(line) for line in (tmp_path / "out" / "asked").read_text("utf-8").splitlines()]
    tables = ["", "-math", "-fenced", "-larger", "-ends", "-sub", "-answers", "-remedies"]
    assert [words[4] for words in asked] == [f"compared{name}" for name in tables]
    assert {" ".join(words): fault for words in asked if (fault := fault_of(words))} == {}


def cells(method: str, asked: str) -> dict[str, str]:
    """A row of the first table of compare.md, by column."""
    lines = (RESULTS / "compare.md").read_text("utf-8").splitlines()
    split = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return dict(zip(split[0], next(row for row in split if row[:2] == [method, asked]), strict=True))


def test_what_the_controls_keep_is_what_the_table_of_code_says(tmp_path: Path) -> None:
    output("experiments/choose_rows.py", "code", traces("kodcode_r1.jsonl.gz"), tmp_path / "rows.jsonl")
    samples = list(asap.read_samples(tmp_path / "rows.jsonl"))[:24]
    scorer = load_scorer("bundled", device="cpu")
    for method in ("random", "keep-head", "keep-tail"):
        pruner = Asap(scorer, AsapSettings(method=method, ratio=0.5, coarse="none"))
        found = [(sample, decision) for sample in samples if (decision := pruner.prune(sample).decision)]
        left = [Copies.find(sample).left(decision) for sample, decision in found]
        tokens: list[Any] = [sum(getattr(decision, name) for _, decision in found) for name in ("tokens_before", "tokens_after")]
        table = cells(method, "50.0")
        assert tokens[0] == 36_828
        assert f"{100 * tokens[1] / tokens[0]:.1f}" == table["kept %"]
        lines = [one.answer_lines for one in left if one.answer_lines is not None]
        assert len(lines) == 22
        assert f"{100 * sum(lines) / len(lines):.1f}" == table["answer lines left %"]
        assert f"{sum(one.near_copies or 0 for one in left) / 24:.2f}" == table["near copies"]
        assert f"{sum(structure(sample.cot, decision).dangling for sample, decision in found) / 24:.2f}" == table["dangling"]


def test_the_scripts_of_the_old_tables_run_on_a_few_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "experiments"))
    rows, model = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(6)]), f"hf:{model_folder()}"
    source, pruned, out = str(rows), str(tmp_path / "run"), ["--out", str(tmp_path / "out")]
    scorer, judge = ["--scorer", model, "--dtype", "float32"], ["--judge", model, "--dtype", "float32"]
    assert run(["prune", source, "--out", pruned, "--ratio", "0.5", "--scores", "one-pass", *scorer]) == 0
    capsys.readouterr()
    for script, words, told in (
        ("result_kept", [pruned, "--tokenizer", model], ["| of 6 |", "| full trace |", "| asap |", "| keep-tail |"]),
        ("surprisal_fixes", [source, pruned, *out, "--tokenizer", model, *judge], ["| by word | 6 |", "| random | 6 |"]),
        ("answer_directed", [source, *out, *scorer[:2], "--limit", "3", *judge], ["| attention | 3 |", "| gradient | 3 |"]),
    ):
        monkeypatch.setattr("sys.argv", [script, *words])
        import_module(script).main()
        said = capsys.readouterr().out
        assert [line for line in told if line not in said] == []
