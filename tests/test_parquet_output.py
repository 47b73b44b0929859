"""pruned.parquet holds the rows of pruned.jsonl, in the types that the source had."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asap.cli import run
from asap.dataset import read_samples
from asap.dataset.columns import OWN, line_of, plain
from asap.dataset.parquet import write_parquet
from asap.dataset.parquet_types import types_in, types_of
from run_fixtures import model_folder, prune, read_rows, row, write_rows

CONTROL = ["--method", "keep-tail", "--ratio", "0.5"]
BERLIN = pa.timestamp("us", "Europe/Berlin")
TYPES: Mapping[str, tuple[Any, Sequence[Any]]] = {
    "small": (pa.int8(), [1, None, -3]),
    "big": (pa.uint64(), [2**64 - 1, 0, None]),
    "rate": (pa.float32(), [0.5, None, 1.25]),
    "yes": (pa.bool_(), [True, False, None]),
    "text": (pa.large_string(), ["ä", "", None]),
    "kind": (pa.dictionary(pa.int32(), pa.string()), ["easy", "hard", "easy"]),
    "price": (pa.decimal128(9, 3), [Decimal("1.250"), None, Decimal("-0.001")]),
    "blob": (pa.binary(), [b"\xff\x00", b"", None]),
    "hash": (pa.binary(2), [b"ab", b"\x00\xff", None]),
    "day": (pa.date32(), [date(2025, 1, 2), None, date(1, 1, 1)]),
    "clock": (pa.time64("us"), [time(1, 2, 3, 4), None, time(23, 59, 59)]),
    "when": (pa.timestamp("ms"), [datetime(2025, 1, 2, 3, 4, 5, 6000), None, datetime(1969, 1, 1)]),
    "zoned": (BERLIN, [datetime(2025, 7, 2, tzinfo=UTC), None, datetime(2025, 1, 2, tzinfo=UTC)]),
    "lasted": (pa.duration("us"), [timedelta(seconds=1.5), None, timedelta(days=-1)]),
    "tests": (pa.list_(pa.string()), [["assert f(1)", None], [], None]),
    "numbers": (pa.list_(pa.float32(), 2), [[0.5, 1.5], None, [1.0, 2.0]]),
    "map": (pa.map_(pa.string(), pa.int32()), [[("a", 1)], [], None]),
    "deep": (
        pa.struct([("when", pa.list_(pa.struct([("at", pa.date32()), ("blob", pa.binary())]))), ("n", pa.int16())]),
        [{"when": [{"at": date(2025, 1, 2), "blob": b"\x01"}, None], "n": 7}, {"when": None, "n": None}, None],
    ),
    "nothing": (pa.null(), [None, None, None]),
}


def of_parquet(path: Path) -> tuple[pa.Schema, list[dict[str, Any]]]:
    table = pq.read_table(path)
    return table.schema, table.to_pylist()


def asap(*words: object) -> None:
    scorer = ["--scorer", f"hf:{model_folder()}", "--device", "cpu"] if words[0] == "prune" else []
    assert run([*map(str, words), *scorer]) == 0


def test_types_and_values_of_the_source_are_kept(tmp_path: Path) -> None:
    ours = [{**row(number), "id": number} for number in range(3)]
    columns = {name: pa.array([one[name] for one in ours]) for name in ours[0]}
    columns |= {name: pa.array(values, type=kind) for name, (kind, values) in TYPES.items()}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    asap("prune", tmp_path / "rows.parquet", "--out", tmp_path / "out", *CONTROL, "--format", "parquet", "--format", "trl")
    schema, rows = of_parquet(tmp_path / "out/pruned.parquet")
    assert [field.name for field in schema] == [*OWN, *TYPES]
    for name, (kind, values) in TYPES.items():
        expected = {"kind": pa.string(), "numbers": pa.list_(pa.float32())}.get(name, kind)
        assert schema.field(name).type == expected, name
        assert [one[name] for one in rows] == values, name
    jsonl = read_rows(tmp_path / "out/pruned.jsonl")
    assert [{name: one[name] for name in OWN} for one in rows] == [{name: one[name] for name in OWN} for one in jsonl]
    assert [plain(one) for one in rows] == jsonl
    manifest = json.loads((tmp_path / "out/manifest.json").read_text("utf-8"))
    assert manifest["formats"] == ["trl", "parquet"]
    assert "data_files: pruned.parquet" in (tmp_path / "out/README.md").read_text("utf-8")


def test_a_folder_that_has_it_keeps_it_up_and_cuts_and_merges_write_it(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{**row(number), "n": number} for number in range(4)])
    out = prune(source, tmp_path / "out", "--format", "parquet")
    first = (out / "pruned.parquet").read_bytes()
    (out / "pruned.parquet").write_bytes(b"stale")
    prune(source, out)
    assert (out / "pruned.parquet").read_bytes() == first, "the same bytes"
    asap("cut", out, "--ratio", "0.9", "--out", tmp_path / "cut", "--format", "parquet")
    shards = [prune(source, tmp_path / f"shard-{index}", "--shard", f"{index}/2") for index in range(2)]
    asap("merge", *shards, "--out", tmp_path / "merged", "--format", "parquet")
    assert (tmp_path / "merged/pruned.parquet").read_bytes() == first
    for folder in (out, tmp_path / "cut"):
        assert of_parquet(folder / "pruned.parquet")[1] == read_rows(folder / "pruned.jsonl")
    assert not (shards[0] / "pruned.parquet").exists()


def test_it_is_read_again_by_asap_and_by_datasets(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{**row(number), "n": number} for number in range(2)])
    out = prune(source, tmp_path / "out", "--format", "parquet")
    ours, theirs = ([*read_samples(str(out / name))] for name in ("pruned.parquet", "pruned.jsonl"))
    assert ours == theirs
    assert [sample.meta for sample in ours] == [{"n": 0}, {"n": 1}]
    datasets = pytest.importorskip("datasets", reason="needs the extra hub")
    loaded = datasets.load_dataset("parquet", data_files=str(out / "pruned.parquet"), cache_dir=str(tmp_path / "cache"))["train"]
    assert loaded.to_list() == read_rows(out / "pruned.jsonl")


MIXED: Mapping[str, tuple[list[Any], Any, list[Any]]] = {
    "whole and broken numbers": ([1, 2.5], pa.float64(), [1.0, 2.5]),
    "numbers and texts": ([1, "a"], pa.string(), ["1", '"a"']),
    "true and 1": ([True, 1], pa.string(), ["true", "1"]),
    "too large": ([2**70, None], pa.string(), [str(2**70), None]),
    "too large beside a broken number": ([2**60 + 1, 0.5], pa.string(), [str(2**60 + 1), "0.5"]),
    "objects": ([{"a": 1}, {"b": "x"}], pa.struct([("a", pa.int64()), ("b", pa.string())]), [{"a": 1, "b": None}, {"a": None, "b": "x"}]),
    "objects that differ": ([{"a": 1}, {"a": "x"}], pa.string(), ['{"a": 1}', '{"a": "x"}']),
    "objects without a key": ([{}, {"a": {}}], pa.string(), ["{}", '{"a": {}}']),
    "lists of lists": ([[[1], []], [None]], pa.list_(pa.list_(pa.int64())), [[[1], []], [None]]),
    "an object and a list": ([{"a": 1}, [1]], pa.string(), ['{"a": 1}', "[1]"]),
    "nothing and something": ([None, "a"], pa.string(), [None, "a"]),
    "very many keys": ([{f"k{number}": number for number in range(2000)}], pa.string(), None),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("name", MIXED)
def test_values_of_different_types_find_a_type_or_are_json(name: str, apart: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if apart:
        monkeypatch.setattr("asap.dataset.parquet._ROWS", 1)
    values, kind, expected = MIXED[name]
    source = write_rows(tmp_path / "rows.jsonl", [{"id": str(number), "x": value} for number, value in enumerate(values)])
    write_parquet(source, tmp_path / "rows.parquet", {})
    schema, rows = of_parquet(tmp_path / "rows.parquet")
    assert schema.field("x").type == kind
    assert [one["x"] for one in rows] == (expected or [json.dumps(value) for value in values])


def test_a_declared_type_that_does_not_fit_gives_way(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"id": "a", "x": 1, "y": "2025-01-02"}, {"id": "b", "x": "1", "y": "soon"}])
    write_parquet(source, tmp_path / "rows.parquet", {"x": pa.int8(), "y": pa.date32(), "id": pa.int64()})
    schema, rows = of_parquet(tmp_path / "rows.parquet")
    assert [one["x"] for one in rows] == ["1", '"1"']
    assert [one["y"] for one in rows] == ["2025-01-02", "soon"]
    assert schema.field("id").type == pa.string()


def test_a_column_that_comes_late_is_null_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asap.dataset.parquet._ROWS", 2)
    source = write_rows(tmp_path / "rows.jsonl", [{"id": str(number), **({"late": number} if number > 4 else {})} for number in range(7)])
    write_parquet(source, tmp_path / "rows.parquet", {})
    assert [one["late"] for one in of_parquet(tmp_path / "rows.parquet")[1]] == [None] * 5 + [5, 6]


def test_no_row_is_an_empty_table(tmp_path: Path) -> None:
    write_parquet(write_rows(tmp_path / "rows.jsonl", []), tmp_path / "rows.parquet", {})
    schema, rows = of_parquet(tmp_path / "rows.parquet")
    assert (schema.names, rows) == ([*OWN], [])


def test_types_of_several_files_are_one_or_none(tmp_path: Path) -> None:
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet", tmp_path / "c.jsonl"]
    pq.write_table(pa.table({"n": pa.array([1], pa.int8()), "x": ["a"], "s": [{"a": 1}]}), files[0])
    pq.write_table(pa.table({"n": pa.array([1], pa.int32()), "x": [1], "s": [{"b": "c"}]}), files[1])
    files[2].write_text("{}")
    assert types_in(types_of(files)) == {"n": pa.int32(), "s": pa.struct([("a", pa.int64()), ("b", pa.string())])}
    assert types_of(files[2:]) is None
    assert types_in(None) == {}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=2), inside, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(rows=st.lists(st.fixed_dictionaries({}, optional={"x": values, "y": values}), min_size=1, max_size=5))
def test_every_json_value_can_be_written_and_comes_back(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    rows = [plain(one) for one in rows]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(map(line_of, rows)), "utf-8")
    write_parquet(file, tmp_path / "rows.parquet", {})
    _, found = of_parquet(tmp_path / "rows.parquet")
    for expected, written in zip(rows, found, strict=True):
        for name, value in expected.items():
            assert same(value, written[name]) or same(value, json.loads(written[name]))


def same(value: Any, written: Any) -> bool:
    """Whether a value was written: an object of Arrow has all keys that any row has."""
    if isinstance(value, dict) and isinstance(written, dict):
        return all(same(value.get(key), inside) for key, inside in written.items()) and not value.keys() - written.keys()
    if isinstance(value, list) and isinstance(written, list):
        return len(value) == len(written) and all(map(same, value, written))
    return bool(value == written)
