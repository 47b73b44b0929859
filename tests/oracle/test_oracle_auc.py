"""The AUC of step scores: every method has one, labels found anew have 1, and a run that goes on ends like one that was not stopped."""

import csv
import json
import sys
from pathlib import Path

import pytest
from experiments.oracle.auc import doubling, main
from experiments.oracle.auc_table import Line, cells_of, read_lines
from train_helpers import model_folder

from asap.prune.methods import METHODS

OWN = "oracle_methods:all_knowing,oracle_methods:claims_something"
FILES = ("auc.md", "auc.csv", "auc.json", "auc.jsonl")


def auc(monkeypatch: pytest.MonkeyPatch, out: Path, *options: str, scorer: str | None = None) -> None:
    scorer = scorer or f"hf:{model_folder('qwen')}"
    monkeypatch.setattr(sys, "argv", ["auc", "--out", str(out), "--scorer", scorer, *options])
    main()


def cells(out: Path) -> dict[tuple[str, str, str], float]:
    with (out / "auc.csv").open() as file:
        return {(row["setting"], row["method"], row["measure"]): float(row["mean"]) for row in csv.DictReader(file)}


def test_every_method_has_an_auc_and_a_stopped_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    auc(monkeypatch, tmp_path / "whole", "--rows", "3", "--methods", OWN)
    found = cells(tmp_path / "whole")
    names = {method for _, method, _ in found}
    assert names == {*METHODS, "asap-fine", *OWN.split(",")} - {"original"}
    assert {setting for setting, _, _ in found} == {"independent", "r1"}
    for setting in ("independent", "r1"):
        assert found[setting, "oracle_methods:all_knowing", "by step"] == 1.0
        assert found[setting, "oracle_methods:all_knowing", "by fact"] == 1.0
        assert found[setting, "keep-head", "by step"] + found[setting, "keep-tail", "by step"] == pytest.approx(1, abs=2e-4)
        assert found[setting, "spirit", "by step minus alignment"] == pytest.approx(
            found[setting, "spirit", "by step"] - found[setting, "alignment", "by step"], abs=2e-4
        )
    assert found["independent", "keep-tail", "by step"] == found["r1", "keep-tail", "by step"]
    auc(monkeypatch, tmp_path / "stopped", "--rows", "3", "--plan", "1", "--methods", OWN)
    about = json.loads((tmp_path / "stopped" / "auc.json").read_text())
    assert {cell["traces"] for cell in about["cells"]} == {1}
    assert about["machine"]["python"]
    assert all(scorer["revision"] for scorer in about["scorers"].values())
    auc(monkeypatch, tmp_path / "stopped", "--rows", "3", "--methods", OWN)
    for name in FILES:
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_one_pass_leaves_out_what_reads_again_for_each_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    auc(monkeypatch, tmp_path, "--rows", "2", "--one-pass", "--settings", "r1")
    found = cells(tmp_path)
    assert {"spirit", "leave-one-out"}.isdisjoint(method for _, method, _ in found)
    assert ("r1", "alignment", "by step") in found
    assert ("independent", "alignment", "by step") not in found


def test_rows_scored_in_two_parts_make_the_table_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    auc(monkeypatch, tmp_path / "whole", "--rows", "3", "--one-pass")
    auc(monkeypatch, tmp_path / "first", "--rows", "2", "--one-pass")
    lines = tmp_path / "first" / "auc.jsonl"
    auc(monkeypatch, tmp_path / "rest", "--rows", "3", "--skip", "2", "--one-pass", "--lines", str(lines))
    assert {line.trace for line in read_lines([tmp_path / "rest" / "auc.jsonl"])} == {"oracle-1-2"}
    for name in ("auc.md", "auc.csv"):
        assert (tmp_path / "rest" / name).read_text() == (tmp_path / "whole" / name).read_text()


def test_a_trace_in_several_lines_counts_once_and_scores_differ_from_others_of_the_same_trace() -> None:
    def line(trace: str, **by_step: float) -> Line:
        return Line("bundled", "r1", trace, by_step, by_step)

    lines = [line("a", random=0.25, spirit=0.75), line("b", random=0.5), line("a", bet=1.0), line("a", random=0.25)]
    found = {cell.method: cell for cell in cells_of(lines)}
    assert {method: cell.traces for method, cell in found.items()} == {"random": 2, "spirit": 1, "bet": 1}
    assert found["random"].by_step.mean == 0.375
    assert found["bet"].above["random"].mean == 0.75
    assert "alignment" not in found["bet"].above


def test_shares_double() -> None:
    assert list(doubling(50, 300)) == [50, 100, 200, 300]
    assert list(doubling(50, 20)) == [20]
