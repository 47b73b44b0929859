"""Benchmarks of mathematics, evaluated and scored without a sandbox, in the records and summaries of all others."""

import gzip
import hashlib
import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asap.benchmarks.files import rows_of
from asap.benchmarks.load import load_benchmark
from asap.benchmarks.maths import gsm8k, question_digest
from asap.benchmarks.problem import GoldResult
from asap.cli import run
from asap.errors import InputError
from asap.evaluate import comparer as module
from asap.sandbox import Sandbox
from run_fixtures import read_rows, refusal, write_rows

FOLDER = Path(os.environ.get("ASAP_DATA", "/nowhere"))
needs_data = pytest.mark.skipif(not (FOLDER / "benchmarks" / "maths").is_dir(), reason="NO MATHS BENCHMARKS under $ASAP_DATA")
needs_math = pytest.mark.skipif(importlib.util.find_spec("math_verify") is None, reason="MATH-VERIFY IS NOT INSTALLED: the extra math")

PROBLEMS = [
    {"id": "half", "question": "What is half of one?", "answer": "\\frac{1}{2}"},
    {"id": "sum", "question": "What is 17 + 25?", "answer": "It is 42.\n#### 42"},
    {"id": "none", "question": "What?", "rationale": "nothing"},
]
ATTEMPTS = [
    {"task_id": "half", "generation": "<think>\n1/3?\n</think>\n\nIt is \\boxed{0.5}."},
    {"task_id": "half", "generation": "<think>\n\\boxed{1/2}\n</think>\n\nIt is \\boxed{2}."},
    {"task_id": "half", "generation": "<think>\nIt is \\boxed{1/2}"},
    {"task_id": "sum", "solution": "17 + 25 = \\boxed{40 + 2}"},
    {"task_id": "sum", "completion": "I do not know."},
    {"task_id": "sum", "response": "Then 40 and", "finish_reason": "length"},
    {"task_id": "none", "generation": "\\boxed{1}"},
]


@pytest.fixture(autouse=True)
def _no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a sandbox is opened for maths")

    monkeypatch.setattr(Sandbox, "open", refuse)


def scored(tmp_path: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    attempts, problems = write_rows(tmp_path / "attempts.jsonl", ATTEMPTS), write_rows(tmp_path / "problems.jsonl", PROBLEMS)
    assert run(["score", str(attempts), "--benchmark", f"maths:{problems}", "--out", str(tmp_path / "out"), "--workers", "1"]) == 0
    [entry] = json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))["benchmarks"]
    return read_rows(tmp_path / "out" / "verdicts.jsonl"), entry


@needs_math
def test_results_are_scored_without_a_sandbox(tmp_path: Path) -> None:
    verdicts, entry = scored(tmp_path)
    assert [one["verdict"] for one in verdicts] == ["pass", "fail", "no-answer", "pass", "no-answer", "no-answer", "infra"]
    assert verdicts[2]["detail"] == "the thinking never ends"
    assert verdicts[-1]["left_out"] == "tests"
    assert {one["extraction"] for one in verdicts} == {"math-verify"}
    assert entry["pass@1"] == pytest.approx(1 / 3)
    assert "the last expression, by python" in (tmp_path / "out" / "summary.md").read_text("utf-8")


@needs_math
def test_what_could_not_be_compared_is_left_out_and_tried_again_by_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as impatient:
        impatient.setattr(module, "_ANSWER_S", 0.0)
        verdicts, entry = scored(tmp_path)
        assert [one["verdict"] for one in verdicts[:2]] == ["infra", "infra"]
        assert entry["verdicts"] == {"infra": 5, "no-answer": 2}
        assert entry["scored"] == 2
    verdicts, _ = scored(tmp_path)
    assert [one["verdict"] for one in verdicts[:2]] == ["pass", "fail"]


def test_a_file_without_a_gold_answer_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    problems = write_rows(tmp_path / "problems.jsonl", PROBLEMS[2:])
    said = refusal(capsys, "score", str(problems), "--benchmark", f"maths:{problems}", "--out", str(tmp_path / "out"), lines=None)
    assert "no gold answer" in said
    assert "maths:FILE" in refusal(capsys, "score", str(problems), "--benchmark", "maths", "--out", str(tmp_path / "out"), lines=None)


def test_svamp_is_named_where_it_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASAP_DATA", str(tmp_path))
    source = write_rows(tmp_path / "attempts.jsonl", ATTEMPTS)
    said = refusal(capsys, "score", str(source), "--benchmark", "svamp", "--out", str(tmp_path / "out"), lines=None)
    assert "benchmarks/maths/svamp_test.jsonl" in said


@needs_data
@pytest.mark.parametrize(
    ("name", "rule", "problems"),
    [
        ("gsm8k", "gsm8k", 1319),
        ("gsm8k:clean", "gsm8k", 737),
        ("math500", "math-verify", 500),
        ("aime24", "math-verify", 30),
        ("aime25", "math-verify", 30),
        ("svamp", "gsm8k", 1000),
    ],
)
def test_an_official_benchmark_is_whole_and_a_gold_result_passes(name: str, rule: str, problems: int) -> None:
    loaded = load_benchmark(name)
    assert (loaded.name, len(loaded.problems)) == (name, problems)
    with module.Comparer.open(1) as comparer:
        for problem in loaded.problems:
            assert isinstance(problem.check, GoldResult)
            assert problem.check.rule == rule
            assert problem.question.endswith("Please reason step by step, and put your final answer within \\boxed{}.")
            assert comparer.compare(problem.check.gold, f"It is \\boxed{{{problem.check.gold}}}.", problem.check.rule).verdict == "pass"
            if rule == "gsm8k":
                assert comparer.compare(problem.check.gold, f"Of 17, it is {problem.check.gold}.", "gsm8k").verdict == "pass"


@needs_data
@pytest.mark.parametrize(
    ("name", "lacking", "said"),
    [
        ("gsm8k", 0, "the official file has 1319 problems, but this one holds 1318"),
        ("gsm8k:clean", 1, "737 problems, but this one holds 736"),
        ("gsm8k:clean", -1, "581 of the 582 questions that gsm8k:clean leaves out are in it"),
        ("math500", 0, "has 500 problems, but this one holds 499"),
        ("aime24", 0, "has 30 problems, but this one holds 29"),
        ("aime25", 0, "has 30 problems, but this one holds 29"),
        ("svamp", 0, "has 1000 problems, but this one holds 999"),
    ],
)
def test_a_file_with_a_problem_less_is_refused(name: str, lacking: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = {"gsm8k": "gsm8k_test", "gsm8k:clean": "gsm8k_test", "svamp": "svamp_test"}.get(name, name)
    with gzip.open(FOLDER / "benchmarks" / "maths" / f"{file}.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = list(lines)
    del rows[lacking]
    (tmp_path / "benchmarks" / "maths").mkdir(parents=True)
    (tmp_path / "benchmarks" / "maths" / f"{file}.jsonl").write_text("".join(rows), "utf-8")
    monkeypatch.setenv("ASAP_DATA", str(tmp_path))
    with pytest.raises(InputError, match=said):
        load_benchmark(name)


@needs_data
def test_a_file_of_the_hub_in_parquet_makes_the_same_problems(tmp_path: Path) -> None:
    path = FOLDER / "benchmarks" / "maths" / "gsm8k_test.jsonl.gz"
    pq.write_table(pa.Table.from_pylist([dict(row.value) for row in rows_of(path)]), tmp_path / "test-00000-of-00001.parquet")
    assert gsm8k(tmp_path / "test-00000-of-00001.parquet") == gsm8k(path)


@needs_data
def test_the_clean_part_of_gsm8k_holds_no_question_of_the_traces() -> None:
    whole, clean = load_benchmark("gsm8k"), load_benchmark("gsm8k:clean")
    with gzip.open(FOLDER / "traces" / "math_r1_qwq.jsonl.gz", "rt", encoding="utf-8") as lines:
        traced = {row["question"] for row in map(json.loads, lines) if row["dataset"] == "gsm8k"}
    assert {problem.task_id for problem in clean.problems} < {problem.task_id for problem in whole.problems}
    assert not [problem.task_id for problem in clean.problems if any(question in problem.question for question in traced)]
    assert question_digest("What?") == hashlib.sha256(b"What?").hexdigest()[:16]
