"""What is needed and left, on a trace whose answer is read off by eye; the labels are the oracle's own."""

import json
from pathlib import Path

import pytest
from experiments.needed_kept import arm_row, facts_kept
from experiments.oracle.attempts import read_rows
from experiments.oracle.generate import oracle_rows

ROW = {
    "id": "one",
    "question": "What is z?",
    "response": "<think>\nx = 1.\n\ny = 2.\n\nx = 1.\n\nz = 3.\n</think>\n\nThe final answer is 3",
    "labels": ["necessary", "dead-end", "restated", "necessary"],
    "facts": [0, 3, 0, 1],
}


@pytest.mark.parametrize(
    ("left", "share"), [("x = 1.\n\nz = 3.", 1.0), ("z = 3.", 0.5), ("y = 2.\n\nx = 1.\n\nz = 3.", 1.0), ("y = 2.", 0.0)]
)
def test_a_restatement_keeps_a_fact_and_a_dead_end_keeps_none(left: str, share: float) -> None:
    assert facts_kept(ROW, left) == share


def test_necessary_only_keeps_all_and_the_others_do_not(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in oracle_rows(20, 1, "r1")), "utf-8")
    rows = read_rows(tmp_path / "train.jsonl")
    assert arm_row("necessary-only", rows, tmp_path, "bundled") == ["necessary-only", "100.0", "100.0"]
    assert float(arm_row("necessary-removed", rows, tmp_path, "bundled")[1]) < 50
