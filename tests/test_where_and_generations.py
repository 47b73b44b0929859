"""`--each-generation` and `--where` in every command that reads rows: what is counted, what is said, and what a folder remembers."""

import json
from pathlib import Path

import pytest

from asap.cli import run
from run_fixtures import model_folder, prune, read_rows, refusal, same_output, write_rows

STEPS = "\n\n".join(f"Step {number} adds {number} to what was there." for number in range(6))
WITHOUT_MODEL = ["--method", "keep-tail", "--ratio", "0.5", "--scorer", f"hf:{model_folder()}"]
CHOSEN = ["--each-generation", "--where", "correct=true"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = [
        {
            "id": f"p{row}",
            "problem": f"Sum {row}?",
            "generations": [f"<think>\n{STEPS}\n\nSo {row}.\n</think>\n\n{row} by way {way}." for way in range(3)],
            "correct": [row % 2 == 0, True, False],
        }
        for row in range(4)
    ]
    return write_rows(tmp_path / "rows.jsonl", [*rows, "no JSON"])


def test_prune_counts_the_rows_that_it_leaves_out_and_writes_the_others(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = prune(source, tmp_path / "out", *WITHOUT_MODEL, *CHOSEN)
    said = capsys.readouterr().out
    assert "rows     7 = 6 pruned + 0 unchanged + 1 rejected\n         not read, since they do not meet --where: 6\n" in said
    assert [row["id"] for row in read_rows(out / "pruned.jsonl")] == ["p0/1", "p0/2", "p1/2", "p2/1", "p2/2", "p3/2"]
    assert [row["correct"] for row in read_rows(out / "pruned.jsonl")] == [True] * 6
    assert [row["reason"] for row in read_rows(out / "rejected.jsonl")] == ["bad_json"]
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert (manifest["counts"]["rows"], manifest["counts"]["filtered"]) == (7, 6)
    assert manifest["settings"]["where"] == ["correct=true"]
    assert manifest["settings"]["each_generation"] is True


def test_a_folder_goes_on_with_the_same_rows_only_and_says_the_count_again(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = prune(source, tmp_path / "out", *WITHOUT_MODEL, *CHOSEN)
    capsys.readouterr()
    prune(source, out, *WITHOUT_MODEL, *CHOSEN)
    assert "not read, since they do not meet --where: 6\n" in capsys.readouterr().out
    assert "where" in refusal(
        capsys, "prune", str(source), "--out", str(out), *WITHOUT_MODEL, "--each-generation", "--where", "correct=false"
    )
    assert run(["cut", str(out), "--ratio", "0.8", "--out", str(tmp_path / "cut")]) == 0
    assert "not read, since they do not meet --where: 6\n" in capsys.readouterr().out


def test_shards_hold_the_chosen_rows_and_merge_to_the_run_without_shards(source: Path, tmp_path: Path) -> None:
    whole = prune(source, tmp_path / "whole", *WITHOUT_MODEL, *CHOSEN)
    parts = [prune(source, tmp_path / f"part-{index}", *WITHOUT_MODEL, *CHOSEN, "--shard", f"{index}/2") for index in range(2)]
    assert run(["merge", *map(str, parts), "--out", str(tmp_path / "merged")]) == 0
    same_output(whole, tmp_path / "merged")


def test_doctor_and_a_dry_run_count_them_too(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", str(source), "--scorer", f"hf:{model_folder()}", *CHOSEN]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "7 rows in 1 source, 6 rows beside them that --where leaves out, 6 usable, 1 rejected" in said
    assert "problem+generations (6 rows)" in said
    assert run(["prune", str(source), "--dry-run", *WITHOUT_MODEL, *CHOSEN]) == 0
    assert "7 rows read: 6 usable, 1 rejected; not meeting --where: 6\n  bad_json: 1\n" in capsys.readouterr().out


def test_training_takes_the_chosen_rows(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", str(source), "--model", f"hf:{model_folder()}", "--out", str(tmp_path / "config"), "--emit-config", "trl", *CHOSEN]
    assert run(words) == 0
    assert "note: rows that do not meet --where, left out: 6" in capsys.readouterr().err
    assert len(read_rows(tmp_path / "config" / "train.jsonl")) == 6


def test_a_condition_that_no_row_meets_or_that_names_no_column_is_an_error(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["prune", str(source), "--out", str(tmp_path / "out"), *WITHOUT_MODEL, "--each-generation", "--where"]
    assert "12 do not meet --where" in refusal(capsys, *words, "correct=maybe", lines=None)
    said = refusal(capsys, *words[:3], str(tmp_path / "other"), *words[4:], "corect=true", lines=None)
    assert "no row has the column that --where names: the row has no column 'corect'" in said
    assert "write COLUMN=VALUE" in refusal(capsys, *words, "correct")


def test_several_generations_without_the_option_are_rejected_with_its_name(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(capsys, "prune", str(source), "--out", str(tmp_path / "out"), *WITHOUT_MODEL, lines=None)
    assert "several_generations 4" in said
    details = {row["detail"] for row in read_rows(tmp_path / "out" / "rejected.jsonl")}
    assert "generations holds 3 generations: make a row of each with --each-generation" in details
