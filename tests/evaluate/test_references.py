"""The benchmarks' own solutions in the real sandbox: all of them pass. Minutes long, and only where the files are."""

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from evaluate_helpers import read_rows, write_rows

from asap.benchmarks.livecodebench import livecodebench_file
from asap.benchmarks.load import load_benchmark
from asap.evaluate.score import score_file

if TYPE_CHECKING:
    from asap.sandbox import Sandbox

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(36_000),
    pytest.mark.skipif(not os.environ.get("ASAP_DATA"), reason="ASAP_DATA names no folder with the benchmarks"),
]


@pytest.mark.parametrize(("name", "count"), [("humaneval", 164), ("humaneval+", 164), ("mbpp+", 378), ("leetcode", 228)])
def test_every_reference_passes(name: str, count: int, tmp_path: Path, sandbox: "Sandbox") -> None:
    all_pass(name, count, tmp_path, sandbox)


def test_every_solution_of_mbpp_passes_its_rows_asserts(tmp_path: Path, sandbox: "Sandbox") -> None:
    all_pass(f"traces:{os.environ['ASAP_DATA']}/benchmarks/mbpp/mbpp.jsonl.gz", 974, tmp_path, sandbox)


@pytest.mark.parametrize("name", ["humaneval", "humaneval+"])
def test_every_reference_passes_beside_eight_busy_processes(name: str, tmp_path: Path, sandbox: "Sandbox") -> None:
    with ExitStack() as stack:
        for _ in range(8):
            busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(busy.wait)
            stack.callback(busy.kill)
        all_pass(name, 164, tmp_path, sandbox)


def all_pass(name: str, count: int, folder: Path, sandbox: "Sandbox") -> None:
    benchmark = load_benchmark(name)
    rows = [{"task_id": problem.task_id, "solution": problem.references[0]} for problem in benchmark.problems]
    summary = score_file(write_rows(folder / "rows.jsonl", rows), benchmark, folder / "out", sandbox)
    failed = [(row["task_id"], row["verdict"], row["detail"]) for row in read_rows(folder / "out/verdicts.jsonl") if not row["passed"]]
    assert failed == []
    assert summary["benchmarks"][0]["verdicts"] == {"pass": count}


def test_solutions_of_leetcode_pass_livecodebenchs_examples(tmp_path: Path, sandbox: "Sandbox") -> None:
    """By title. One hides `pow` by its own imports, one differs by rounding, which the benchmark compares exactly."""
    folder, references = Path(os.environ["ASAP_DATA"]) / "benchmarks", dict[str, str]()
    for version in ("v0.2.0-train", "v0.2.0-test", "v0.3.0-test", "v0.3.1-test"):
        with gzip.open(folder / f"leetcodedataset/LeetCodeDataset-{version}.jsonl.gz", "rt", encoding="utf-8") as lines:
            references |= {row["task_id"]: row["prompt"] + "\n" + row["completion"] for row in map(json.loads, lines)}
    rows = []
    for number in range(1, 7):
        with livecodebench_file(number).open("rb") as file, gzip.open(file, "rt", encoding="utf-8") as lines:
            problems = [json.loads(line) for line in lines]
        fitting = [row for row in problems if row["starter_code"].strip() and row["question_title"] in references]
        rows += [{"task_id": row["question_id"], "solution": references[row["question_title"]]} for row in fitting]
    benchmark = load_benchmark("livecodebench:v1_v6")
    score_file(write_rows(tmp_path / "rows.jsonl", rows), benchmark, tmp_path / "out", sandbox)
    failed = {row["task_id"] for row in read_rows(tmp_path / "out/verdicts.jsonl") if not row["passed"]}
    assert (len(rows), failed) == (404, {"3682", "3763"})


def test_the_labels_of_545_published_answers_come_out_again(tmp_path: Path, sandbox: "Sandbox") -> None:
    """All but those of one problem, whose test file defines the function anew and never calls the solution, not even the reference."""
    path = Path(os.environ["ASAP_DATA"]) / "traces/kodcode_r1.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        published = [json.loads(line) for line in lines]
    rows = [{"task_id": row["id"], "solution": row["tested_code"]} for row in published]
    score_file(write_rows(tmp_path / "rows.jsonl", rows), load_benchmark("traces"), tmp_path / "out", sandbox)
    verdicts = read_rows(tmp_path / "out/verdicts.jsonl")
    differing = [(row, verdict) for row, verdict in zip(published, verdicts, strict=True) if row["passed"] != verdict["passed"]]
    assert Counter(row["problem_id"] for row, _ in differing) == {"Algorithm_00000041": 6}
    assert {(verdict["verdict"], verdict["left_out"]) for _, verdict in differing} == {("infra", "reference")}
    assert all(verdict["detail"].endswith("fail: the tests never called the solution") for _, verdict in differing)
