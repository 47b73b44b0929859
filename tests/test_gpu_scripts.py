"""The scripts for a GPU run from end to end on a CPU with a tiny model: on a machine that is there for minutes nobody can mend them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

GPU = Path(__file__).parents[1] / "benchmarks" / "gpu"
TINY = ["--shapes", "tiny", "--shorten", "32", "--rate-seconds", "2"]
G2 = ["rate", "first_token", "head", "batches", "memory", "order", "busy"]
PARTS = {
    "g1_correctness.py": (["--parts", "capped"], ["capped"]),
    "g2_throughput.py": ([*TINY, "--parts", *G2], ["model", *G2]),
}


@pytest.mark.slow
@pytest.mark.parametrize("script", PARTS)
def test_a_rehearsal_finds_something_in_every_part_and_no_error(script: str, tmp_path: Path) -> None:
    words, parts = PARTS[script]
    out = tmp_path / "out.jsonl"
    command = [sys.executable, str(GPU / script), "--device", "cpu", "--seconds", "3000", "--out", str(out), *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [line for line in lines if "error" in line and not isinstance(line["error"], float)] == []
    assert {line["what"] for line in lines} == {"machine", *parts}
    assert not any(line.get("rejected") or line.get("skipped") for line in lines)


@pytest.mark.slow
def test_no_script_for_a_gpu_needs_pyarrow_or_what_only_the_command_line_needs() -> None:
    kept_out = ["pyarrow", "datasets", "rich", "cyclopts", "openai", "trl", "peft", "math_verify", "matplotlib"]
    scripts = "g1_correctness, g2_throughput, g3_training, g4_writing, g5_experiment, g6_code, g7_oracle, experiments.oracle.auc"
    code = f"import sys; sys.path.append({str(GPU.parents[1])!r}); sys.modules.update(dict.fromkeys({kept_out})); import bench, {scripts}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=GPU)
