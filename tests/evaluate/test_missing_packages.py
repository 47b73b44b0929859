"""What a scored file says of attempts that need a package, and what `--packages` does."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from evaluate_helpers import DOUBLE, ECHO, RIGHT, benchmark, read_rows, write_rows

from asap.cli import app
from asap.evaluate.score import score_file
from asap.evaluate.summary import faults_of, pass_line
from asap.sandbox import Sandbox

if TYPE_CHECKING:
    from asap.benchmarks.load import Benchmark


def small() -> "Benchmark":
    """Two problems, of which the second has tests without a reference."""
    return benchmark(ECHO, replace(DOUBLE, references=()))


def test_a_missing_package_is_told_once_and_counts_for_nobody(tmp_path: Path, sandbox: Sandbox) -> None:
    programs = [("echo", "import yaml\n" + RIGHT["echo"]), ("echo", "import yaml\nprint(1)\n"), ("double", RIGHT["double"])]
    attempts = write_rows(tmp_path / "attempts.jsonl", [{"task_id": task, "solution": code} for task, code in programs])
    summary = score_file(attempts, small(), tmp_path / "out", sandbox)
    [entry] = summary["benchmarks"]
    assert entry["needs"] == [{"package": "PyYAML", "installed": True, "task_ids": ["echo"]}]
    assert faults_of(entry) == ["1 problem lacks packages that are installed here: add --packages PyYAML"]
    assert (entry["scored"], entry["pass@1"], entry["not_scored"]) == (1, 1.0, ["echo"])
    assert "missing at 1 problem: PyYAML" in pass_line(entry)
    assert [row["verdict"] for row in read_rows(tmp_path / "out" / "verdicts.jsonl")] == ["infra", "infra", "pass"]
    assert "packages" not in summary["settings"]
    with Sandbox.open(1, packages=["yaml"]) as more:
        summary = score_file(attempts, small(), tmp_path / "out", more)
    [entry] = summary["benchmarks"]
    assert ("needs" in entry, entry["scored"], entry["pass@1"]) == (False, 2, 0.75)
    assert summary["settings"]["packages"].keys() == {"pyyaml"}
    assert "Packages: pyyaml " in (tmp_path / "out" / "summary.md").read_text()


def test_the_option_and_what_tests_import(tmp_path: Path, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"id": "tests", "question": "f", "test_file": "import yaml\nfrom solution import f\ndef test_f():\n    assert f() == 1\n"},
        {"id": "own", "question": "g", "test_file": "from solution import g\ndef test_g():\n    assert g() == 1\n"},
    ]
    solutions = [
        {"task_id": "tests", "solution": "def f():\n    import rich\n    return 1\n"},
        {"task_id": "own", "solution": "import rich\ndef g():\n    return 1\n"},
    ]
    tests, attempts = write_rows(tmp_path / "rows.jsonl", rows), write_rows(tmp_path / "attempts.jsonl", solutions)
    command = ["score", str(attempts), "--benchmark", f"traces:{tests}", "--out", str(tmp_path / "out"), "--workers", "1"]
    assert app(command, result_action="return_value") == 1
    told = capsys.readouterr()
    assert told.err.count("2 problems lack packages that are installed here: add --packages rich") == 1
    assert "nothing could be scored" in told.out
    assert app([*command, "--packages", "rich"], result_action="return_value") == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["benchmarks"][0]["verdicts"] == {"pass": 2}
    assert {"rich", "pyyaml"} <= summary["settings"]["packages"].keys()


def test_packages_that_tests_and_references_lack_are_told_in_one_sentence(
    tmp_path: Path, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"id": f"p{number}", "question": "f", "test_file": f"import {module}\nfrom solution import f\ndef test_f():\n    assert f() == 1\n"}
        for number, module in enumerate(["no_such_module", "nor_this", "no_such_module", "no_such_module", "no_such_module"])
    ]
    for row in rows[:3]:
        row["reference_solution"] = "def f():\n    return 1\n"
    attempts = write_rows(tmp_path / "attempts.jsonl", [{"task_id": row["id"], "solution": "def f(): return 1\n"} for row in rows])
    tests = write_rows(tmp_path / "rows.jsonl", rows)
    command = ["score", str(attempts), "--benchmark", f"traces:{tests}", "--out", str(tmp_path / "out"), "--workers", "1"]
    assert app(command, result_action="return_value") == 1
    told = capsys.readouterr().err
    assert told.count("5 problems lack packages that are not installed here: pip install no_such_module nor_this into the environment") == 1
    records = read_rows(tmp_path / "out" / "verdicts.jsonl")
    assert [record["needs"] for record in records] == ["no_such_module", "nor_this", *["no_such_module"] * 3]
    assert [record.get("left_out") for record in records] == ["reference"] * 3 + [None] * 2
    assert {record["verdict"] for record in records} == {"infra"}
