import json
from pathlib import Path

import pytest
from train_helpers import row, train_words, write_rows

from asap.cli import run
from asap.train.cost import cost_notes, cost_of


def arm(folder: Path, tokens: list[int], seconds: list[float], **values: object) -> Path:
    """The log of a run, written by hand: so many tokens in each row, so many seconds in each step of two rows."""
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps({"model": "bundled", "values": {"effective_batch_size": 2, **values}}))
    (folder / "rows.jsonl").write_text("".join(json.dumps({"id": str(n), "tokens": size}) + "\n" for n, size in enumerate(tokens)))
    steps = [
        {
            "step": n + 1,
            "loss": 1.0,
            "tokens": tokens[2 * n] + tokens[2 * n + 1],
            "seconds": took,
            "peak_mib": 1000 + 10 * n,
            "peak_of": "cpu",
        }
        for n, took in enumerate(seconds)
    ]
    (folder / "steps.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
    return folder


def test_the_table_is_what_the_logs_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    original = arm(tmp_path / "original", [1000, 3000, 2000, 2000], [10.0, 30.0])
    half = arm(tmp_path / "half", [250, 750, 500, 500], [4.0, 6.0])
    assert run(["report", str(original), str(half), "--out", str(tmp_path / "made")]) == 0
    capsys.readouterr()
    assert (tmp_path / "made" / "report.md").read_text().splitlines()[-3:] == [
        "|---|---:|---:|---:|---:|---:|---:|",
        "| original | 4 | 2 | 2,000 | 20.00 | 200 | 1,010 (cpu) |",
        "| half | 4 | 2 | 500 (-75.0 %) | 5.00 (-75.0 %) | 200 | 1,010 (cpu) (+0.0 %) |",
    ]


def test_what_is_not_equal_is_said(tmp_path: Path) -> None:
    original = arm(tmp_path / "original", [10, 10, 10, 10], [1.0, 1.0])
    other = arm(tmp_path / "other", [10, 10], [1.0], effective_batch_size=4)
    [note] = cost_notes([cost_of(original), cost_of(other)])
    assert note == "Not equal in original and other: rows, effective_batch_size (2 and 4), steps (2 and 1)."


def test_a_real_run_is_counted(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(4)])
    assert run(train_words(source, tmp_path / "out", changes=("max_steps=2", "effective_batch_size=2"))) == 0
    cost = cost_of(tmp_path / "out")
    rows = [json.loads(line)["tokens"] for line in (tmp_path / "out" / "rows.jsonl").read_text().splitlines()]
    assert (cost.rows, cost.steps, cost.tokens_per_sample) == (4, 2, sum(rows) / 4)
    assert cost.seconds_per_step > 0
    assert cost.tokens_per_second * cost.seconds_per_step * 2 == pytest.approx(sum(rows), rel=0.01)


def test_other_folders_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(tmp_path)]) == 2
    assert "holds no run; report takes output folders of asap evaluate, asap score and asap train" in capsys.readouterr().err
    assert run(["report", str(arm(tmp_path / "empty", [1, 2], []))]) == 2
    assert "has no finished step" in capsys.readouterr().err
