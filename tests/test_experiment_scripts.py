"""The cheap scripts of experiments/, run: what docs/results says of them is what they print."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def output(*words: object) -> str:
    return subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def traces(name: str) -> Path:
    if not (data := os.environ.get("ASAP_DATA")):
        pytest.skip("ASAP_DATA is not set: which rows the comparisons choose was NOT checked")
    return Path(data) / "traces" / name


def test_the_copy_meter_prints_the_correlations_of_its_page() -> None:
    page = ROOT / "docs" / "results" / "compare.md"
    told = output("-m", "experiments.copy_meter", page)
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
