"""The examples of pruning inside other tools give what pruning each row gives. Each skips, and says so, where its tool is not installed."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import asap
from run_fixtures import model_folder, row, write_rows

ROOT = Path(__file__).parents[2]
SETTINGS = {"ratio": 0.5, "coarse": "none", "scores": "own"}
BAD = {"id": "bad", "question": "Why?", "response": "no thinking in it"}


def rows() -> list[dict[str, Any]]:
    """Rows with their response in one column."""
    made = [row(number) for number in range(3)]
    return [
        {"id": one["id"], "question": one["question"], "response": f"<think>\n{one['cot']}\n</think>\n\n{one['answer']}"} for one in made
    ]


def expected() -> dict[str, str]:
    """The pruned response of each row, by id."""
    pruner = asap.Asap(f"hf:{model_folder()}", SETTINGS)
    return {one["id"]: pruner.prune(asap.to_sample(one).sample).sample.response for one in rows()}


def test_a_datatrove_pipeline_prunes_documents_and_counts_what_it_leaves_out(tmp_path: Path) -> None:
    if find_spec("datatrove") is None or find_spec("orjson") is None:
        pytest.skip("datatrove or orjson is not installed (pip install datatrove orjson): the datatrove step did NOT run")
    (tmp_path / "in").mkdir()
    write_rows(tmp_path / "in" / "traces.jsonl", [*rows(), BAD])
    words = [sys.executable, "examples/datatrove_step.py", str(tmp_path / "in"), str(tmp_path / "out"), f"hf:{model_folder()}"]
    done = subprocess.run(words, cwd=ROOT, env={**os.environ, "PYTHONPATH": path()}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written = [json.loads(line) for line in (tmp_path / "out" / "00000.jsonl").read_text("utf-8").splitlines()]
    assert {one["id"]: one["text"] for one in written} == expected()
    assert [one["question"] for one in written] == [one["question"] for one in rows()]
    counted = {step["name"]: step["stats"] for step in json.loads((tmp_path / "out" / "logs" / "stats.json").read_text("utf-8"))}
    [stats] = [stats for name, stats in counted.items() if "ASAP" in name]
    assert stats["rejected_no_think"] == {"total": 1} or stats["rejected_no_think"] == 1
    assert stats["tokens_after"]["total"] < stats["tokens_before"]["total"]


def test_a_column_of_data_designer_holds_the_pruned_responses(tmp_path: Path) -> None:
    python = os.environ.get("ASAP_DESIGNER_PYTHON") or (sys.executable if find_spec("data_designer") else None)
    if python is None:
        pytest.skip("data-designer is not installed, nor named by ASAP_DESIGNER_PYTHON (make test-designer): its column did NOT run")
    (tmp_path / "rows.json").write_text(json.dumps([*rows(), BAD]))
    program = (
        "import json, sys\nfrom examples.data_designer_column import designed\n"
        "found = designed(json.load(open(sys.argv[1])), sys.argv[2], sys.argv[3])\n"
        "json.dump({row['id']: row['shorter'] for row in found.to_dict('records')}, open(sys.argv[4], 'w'))\n"
    )
    words = [
        str(Path(python).absolute()),
        "-c",
        program,
        str(tmp_path / "rows.json"),
        str(tmp_path / "made"),
        f"hf:{model_folder()}",
        str(tmp_path / "found.json"),
    ]
    environment = {**os.environ, "PYTHONPATH": path(), "HOME": str(tmp_path), "DO_NOT_TRACK": "1", "NEMO_TELEMETRY_ENABLED": "false"}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert json.loads((tmp_path / "found.json").read_text()) == {**expected(), "bad": None}


def path() -> str:
    """Where a process of its own finds the package and the examples."""
    return os.pathsep.join([str(Path(asap.__file__).parents[1]), str(ROOT), os.environ.get("PYTHONPATH", "")])
