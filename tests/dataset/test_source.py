"""Containers: what is read, what a bad row costs, and how much memory it takes."""

import gzip
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from dataset_helpers import CONTAINERS, ROWS, TEXT, refusal, save, values, write

from asap.dataset import iter_rows


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    CONTAINERS[name](path)
    rows = list(iter_rows(str(path)))
    assert [row.value for row in rows] == ROWS
    assert [row.line for row in rows] == [1, 2, 3, 4, 5]
    assert {row.source for row in rows} == {str(path)}
    assert not any(row.error for row in rows)


def test_a_folder_is_read_file_by_file_in_the_order_of_names(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS[2:3]), tmp_path / "b.parquet")
    write(tmp_path / "c.jsonl.gz", gzip.compress(json.dumps(ROWS[3]).encode()))
    write(tmp_path / "a.jsonl", json.dumps(ROWS[4]).encode())
    write(tmp_path / "README.md", b"not data")
    write(tmp_path / ".hidden.jsonl", b"not data")
    rows = list(iter_rows(str(tmp_path)))
    assert [row.value for row in rows] == [ROWS[4], ROWS[2], ROWS[3]]
    assert [Path(row.source).name for row in rows] == ["a.jsonl", "b.parquet", "c.jsonl.gz"]
    assert [row.line for row in rows] == [1, 1, 1]


def test_a_saved_dataset_dict_with_one_split_needs_no_option(tmp_path: Path) -> None:
    assert values(save(tmp_path / "d", splits=("train",))) == ROWS


def test_a_saved_dataset_dict_with_several_splits_asks_for_one(tmp_path: Path) -> None:
    folder = save(tmp_path / "d", splits=("train", "test"))
    assert "--split: train, test" in refusal(folder)
    assert "'val'" in refusal(folder, hub_split="val")
    assert values(folder, hub_split="test") == ROWS


def test_saved_data_is_read_without_the_datasets_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(tmp_path / "d")
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert values(folder) == ROWS


def test_saved_data_follows_the_order_of_state_json(tmp_path: Path) -> None:
    folder = save(tmp_path / "d", shards=5)
    state = json.loads((folder / "state.json").read_text())
    state["_data_files"].reverse()
    (folder / "state.json").write_text(json.dumps(state))
    assert values(folder) == ROWS[::-1]


def test_saved_data_with_an_index_file_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "d")
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**state, "_indices_data_files": [{"filename": "indices.arrow"}]}))
    assert "flatten_indices" in refusal(folder)


def test_damaged_saved_data_is_refused_with_the_file_in_question(tmp_path: Path) -> None:
    folder = save(tmp_path / "d")
    data = next(folder.glob("*.arrow"))
    write(data, data.read_bytes()[:-300])
    assert refusal(folder).startswith(str(data))
    data.unlink()
    assert refusal(folder).startswith(str(data))
    (folder / "state.json").write_text("{")
    assert "state.json: is not valid JSON" in refusal(folder)


@pytest.mark.parametrize("state", ["[]", "{}", '{"_data_files": [{}]}', '{"_data_files": [3]}'])
def test_a_state_json_without_data_files_is_refused(tmp_path: Path, state: str) -> None:
    (tmp_path / "state.json").write_text(state)
    assert "state.json" in refusal(tmp_path)


# --- bad rows -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        (b'{"a": }', "bad_json", "column 7: Expecting value"),
        (b'{"a": 1', "bad_json", "column 8"),
        (b"hello", "bad_json", "column 1"),
        (b"[1, 2]", "not_an_object", "array"),
        (b'"text"', "not_an_object", "string"),
        (b"null", "not_an_object", "null"),
        (b"true", "not_an_object", "boolean"),
        (b'{"a": "caf\xe9"}', "bad_utf8", "byte 11"),
        (b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "bad_json", "nested too deeply"),
        (b'{"a":' + b"9" * 5000 + b"}", "bad_json", "4300"),
    ],
    ids=lambda value: value[:20].decode("latin-1") if isinstance(value, bytes) else value,
)
def test_a_bad_line_costs_only_its_own_row(tmp_path: Path, line: bytes, reason: str, detail: str) -> None:
    rows = list(iter_rows(str(write(tmp_path / "a.jsonl", TEXT + line + b"\n" + TEXT))))
    assert len(rows) == 11
    assert [row.line for row in rows if row.error] == [6]
    error = rows[5].error
    assert error is not None
    assert rows[5].value is None
    assert error.reason == reason
    assert detail in error.detail
    assert "\n" not in error.detail


def test_blank_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    rows = list(iter_rows(str(write(tmp_path / "a.jsonl", b'\n  \n{"a": 1}\n\r\n\n{"a": 2}'))))
    assert [(row.line, row.value) for row in rows] == [(3, {"a": 1}), (6, {"a": 2})]


def test_a_byte_order_mark_and_crlf_line_ends_are_accepted(tmp_path: Path) -> None:
    assert values(write(tmp_path / "a.jsonl", b"\xef\xbb\xbf" + TEXT.replace(b"\n", b"\r\n"))) == ROWS


def test_nan_and_infinity_are_accepted(tmp_path: Path) -> None:
    (row,) = values(write(tmp_path / "a.jsonl", b'{"a": NaN, "b": -Infinity}\n'))
    assert repr(row) == "{'a': nan, 'b': -inf}"


def test_escaped_surrogates_and_nuls_get_through(tmp_path: Path) -> None:
    assert values(write(tmp_path / "a.jsonl", b'{"a": "\\ud800", "b": "x\\u0000y"}\n')) == [{"a": "\ud800", "b": "x\0y"}]


def test_unicode_line_separators_do_not_end_a_line(tmp_path: Path) -> None:
    text = "one\u2028two\u0085three\x0b"
    assert values(write(tmp_path / "a.jsonl", json.dumps({"a": text}, ensure_ascii=False).encode())) == [{"a": text}]


def test_a_character_on_the_64_kib_border_is_not_taken_for_binary_data(tmp_path: Path) -> None:
    for shift in range(4):
        text = "x" * (65536 - 10 - shift) + "😀" * 5
        assert values(write(tmp_path / "a.jsonl", json.dumps({"a": text}, ensure_ascii=False).encode())) == [{"a": text}]


def test_a_single_line_of_ten_megabytes_is_one_row(tmp_path: Path) -> None:
    text = "ü" * 5_000_000
    assert values(write(tmp_path / "a.jsonl.gz", gzip.compress(json.dumps({"a": text}, ensure_ascii=False).encode(), 1))) == [{"a": text}]


def test_parquet_text_that_is_not_utf8_costs_only_its_own_row(tmp_path: Path) -> None:
    column = pa.array([b"good", b"\xff\xfe", b"fine"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"a": column}), tmp_path / "a.parquet")
    rows = list(iter_rows(str(tmp_path / "a.parquet")))
    assert [row.value for row in rows] == [{"a": "good"}, None, {"a": "fine"}]
    assert rows[1].error is not None
    assert (rows[1].line, rows[1].error.reason) == (2, "bad_utf8")


def test_a_source_that_is_not_read_to_its_end_leaves_nothing_open(tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "a.jsonl.zst", "a.parquet"):
        CONTAINERS[name](tmp_path / name)
        next(iter_rows(str(tmp_path / name)))
    if sys.platform == "linux":
        opened = {os.path.realpath(descriptor) for descriptor in Path("/proc/self/fd").iterdir()}
        assert not any(name.startswith(str(tmp_path)) for name in opened)


def test_a_named_pipe_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen([sys.executable, "-c", f"open({str(tmp_path / 'pipe')!r}, 'wb').write({TEXT!r})"]):
        assert values(tmp_path / "pipe") == ROWS


@pytest.mark.parametrize("pack", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet"])
def test_memory_does_not_grow_with_the_number_of_rows(tmp_path: Path, pack: str) -> None:
    def peak(rows: int) -> tuple[int, int]:
        path = tmp_path / f"{rows}-{pack}"
        values = [{"a": f"{n:0500}"} for n in range(rows)]
        text = b"".join(json.dumps(value).encode() + b"\n" for value in values)
        if pack.endswith("parquet"):
            pq.write_table(pa.Table.from_pylist(values), path)
        else:
            path.write_bytes({"gz": gzip.compress, "zst": zstandard.compress}.get(pack.rpartition(".")[2], bytes)(text))
        del values, text
        tracemalloc.start()
        assert sum(1 for _ in iter_rows(str(path))) == rows
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest, path.stat().st_size

    small, _ = peak(200)
    large, _ = peak(20_000)  # ten megabytes of text
    assert large < small + 500_000


def test_a_parquet_row_group_is_not_held_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [os.urandom(1000).hex() for _ in range(10_000)]}), path)
    assert pq.read_metadata(path).num_row_groups == 1
    before = pa.total_allocated_bytes()
    highest = max(pa.total_allocated_bytes() - before for _ in iter_rows(str(path)))
    assert highest < path.stat().st_size / 2 > 9_000_000
