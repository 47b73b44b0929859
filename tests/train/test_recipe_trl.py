"""The script of docs/recipes/trl.md trains, on what the commands before it write."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from train_helpers import model_folder, row, write_rows

from asap.cli import run

PAGE = Path(__file__).parents[2] / "docs" / "recipes" / "trl.md"


@pytest.mark.slow
def test_the_script_of_the_page_trains_on_the_rows_of_the_page(tmp_path: Path) -> None:
    model, source = model_folder("smol"), write_rows(tmp_path / "rows.jsonl", [row(number, lines=4) for number in range(3)])
    pruned = ["prune", str(source), "--out", str(tmp_path / "pruned"), "--method", "keep-tail", "--ratio", "0.5"]
    assert run([*pruned, "--format", "trl", "--format-model", f"hf:{model}"]) == 0
    [script] = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    program = script.replace('"MODEL"', repr(str(model))).replace(
        "output_dir=", 'use_cpu=True, report_to="none", num_train_epochs=1, output_dir='
    )
    trained = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert trained.returncode == 0, trained.stderr[-2000:]
    assert "train_loss" in trained.stdout
