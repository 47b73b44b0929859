"""NaN and infinity in other columns: null in JSONL, counted and said; kept in Parquet."""

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agent_rows import ROWS
from asap.cli import run
from run_fixtures import read_counts, read_rows, row, write_rows

CONTROL = ["--method", "keep-tail", "--ratio", "0.5"]
SAID = "note     rows with NaN or infinity in other columns: 2; in .jsonl files these are null"


def source(folder: Path) -> Path:
    rows = [{**row(0), "x": math.nan, "deep": {"a": [1.0, -math.inf]}}, {**row(1), "x": 1.5}, {**row(2), "x": math.inf, "deep": {"a": []}}]
    return write_rows(folder / "rows.jsonl", rows)


def test_rows_whose_numbers_become_null_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(["prune", str(source(tmp_path)), *CONTROL, "--format", "trl", "--out", str(out)]) == 0
    assert f"{SAID}\n" in capsys.readouterr().out
    assert read_counts(out)["not_finite"] == 2
    for name in ("pruned.jsonl", "trl.jsonl"):
        assert [one["x"] for one in read_rows(out / name)] == [None, 1.5, None]
        assert read_rows(out / name)[0]["deep"] == {"a": [1.0, None]}


def test_parquet_holds_them_after_a_cut_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, cut = tmp_path / "out", tmp_path / "cut"
    assert run(["prune", str(source(tmp_path)), *CONTROL, "--format", "parquet", "--out", str(out)]) == 0
    assert f"{SAID}, as they are in pruned.parquet\n" in capsys.readouterr().out
    assert run(["cut", str(out), "--ratio", "0.25", "--format", "parquet", "--out", str(cut)]) == 0
    for folder in (out, cut):
        table = pq.read_table(folder / "pruned.parquet")
        assert table.schema.field("x").type == pa.float64()
        first, second, third = table.to_pylist()
        assert math.isnan(first["x"])
        assert (second["x"], third["x"], first["deep"]) == (1.5, math.inf, {"a": [1.0, -math.inf]})
        assert {path.name for path in folder.iterdir()} >= {"pruned.parquet", "pruned.jsonl"}
        assert [path for path in folder.iterdir() if path.name.startswith("tmp")] == []


def test_a_column_of_json_text_in_parquet_has_null(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", [{**row(0), "x": [math.nan]}, {**row(1), "x": "a"}])
    assert run(["prune", str(rows), *CONTROL, "--format", "parquet", "--out", str(tmp_path / "out")]) == 0
    assert pq.read_table(tmp_path / "out/pruned.parquet")["x"].to_pylist() == ["[null]", '"a"']


def test_the_type_of_the_source_holds_them(tmp_path: Path) -> None:
    columns = {name: pa.array([row(number)[name] for number in range(2)]) for name in row(0)}
    pq.write_table(pa.table({**columns, "x": pa.array([math.nan, 2.5], pa.float32())}), tmp_path / "rows.parquet")
    assert run(["prune", str(tmp_path / "rows.parquet"), *CONTROL, "--format", "parquet", "--out", str(tmp_path / "out")]) == 0
    written = pq.read_table(tmp_path / "out/pruned.parquet")["x"]
    assert written.type == pa.float32()
    assert [str(value) for value in written.to_pylist()] == ["nan", "2.5"]


def test_a_conversation_with_such_a_number_is_counted(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", [{**ROWS["sharegpt"], "x": math.nan}])
    assert run(["prune", str(rows), *CONTROL, "--format", "parquet", "--out", str(tmp_path / "out")]) == 0
    assert read_counts(tmp_path / "out")["not_finite"] == 1
    assert math.isnan(pq.read_table(tmp_path / "out/pruned.parquet")["x"].to_pylist()[0])


def test_runs_without_such_numbers_do_not_speak_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", [{**row(0), "x": 1.5}])
    assert run(["prune", str(rows), *CONTROL, "--format", "parquet", "--out", str(tmp_path / "out")]) == 0
    assert "NaN" not in capsys.readouterr().out
    assert "not_finite" not in read_counts(tmp_path / "out")
