"""Reading attempts: our rows, HumanEval's samples, LiveCodeBench's output, and rows that are neither."""

import json
from pathlib import Path

import pytest

from asap.dataset import Rejected
from asap.errors import InputError
from asap.evaluate.attempt import Attempt, read_attempts

KNOWN = ["a", "b"]


def read(tmp_path: Path, *rows: object, name: str = "rows.jsonl") -> list[Attempt | Rejected]:
    text = "".join(json.dumps(row) + "\n" for row in rows) if name.endswith(".jsonl") else json.dumps(rows)
    (tmp_path / name).write_text(text, encoding="utf-8")
    return list(read_attempts(tmp_path / name, KNOWN))


def test_samples_are_numbered_for_each_problem_in_file_order(tmp_path: Path) -> None:
    rows = [{"task_id": name, "completion": str(number)} for number, name in enumerate("abab")]
    found = read(tmp_path, *rows)
    assert [(row.task_id, row.sample, row.text) for row in found if isinstance(row, Attempt)] == [
        ("a", 0, "0"),
        ("b", 0, "1"),
        ("a", 1, "2"),
        ("b", 1, "3"),
    ]


@pytest.mark.parametrize("kind", ["generation", "solution", "completion"])
def test_each_kind_of_row(kind: str, tmp_path: Path) -> None:
    [row] = read(tmp_path, {"task_id": "a", kind: "text", "tokens": 5})
    assert isinstance(row, Attempt)
    assert (row.kind, row.text, row.measured["tokens"]) == (kind, "text", 5)


@pytest.mark.parametrize("name", ["out.json", "out.jsonl"])
def test_livecodebenchs_output(name: str, tmp_path: Path) -> None:
    found = read(tmp_path, {"question_id": "a", "code_list": ["one", "two"]}, {"question_id": "b", "output_list": ["three"]}, name=name)
    assert [(row.task_id, row.sample, row.kind) for row in found if isinstance(row, Attempt)] == [
        ("a", 0, "solution"),
        ("a", 1, "solution"),
        ("b", 0, "generation"),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"completion": "x"}, "no_task_id"),
        ({"task_id": True, "completion": "x"}, "no_task_id"),
        ({"task_id": "z", "completion": "x"}, "unknown_task"),
        ({"task_id": "a"}, "no_attempt"),
        ({"task_id": "a", "completion": 5}, "wrong_type"),
        ({"question_id": "a", "code_list": ["x", None]}, "wrong_type"),
        ([1], "not_an_object"),
    ],
)
def test_rows_that_are_no_attempt_are_kept_with_their_reason(row: object, reason: str, tmp_path: Path) -> None:
    found = read(tmp_path, row, {"task_id": "b", "completion": "x"})
    assert isinstance(found[0], Rejected)
    assert (found[0].line, found[0].reason) == (1, reason)
    assert isinstance(found[1], Attempt)


def test_a_truncated_last_line_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"task_id": "a", "completion": "x"}\n{"task_id": "b", "comp', encoding="utf-8")
    found = list(read_attempts(path, KNOWN))
    assert [type(row) for row in found] == [Attempt, Rejected]


def test_rows_about_other_benchmarks_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"task_id": "a", "generation": "x", "benchmark": name} for name in ("humaneval", "humaneval+")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert len(list(read_attempts(path, KNOWN, "humaneval"))) == 1


def test_files_that_are_no_use(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        list(read_attempts(tmp_path / "no.jsonl", KNOWN))
    (tmp_path / "object.json").write_text("5", encoding="utf-8")
    with pytest.raises(InputError, match="no JSON array"):
        list(read_attempts(tmp_path / "object.json", KNOWN))
    (tmp_path / "binary.jsonl").write_bytes(b"\0\1\2")
    with pytest.raises(InputError, match="binary"):
        list(read_attempts(tmp_path / "binary.jsonl", KNOWN))
