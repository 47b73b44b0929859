"""Sources that cannot be used as a whole: one sentence each."""

import gzip
import json
import os
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from dataset_helpers import ROWS, TEXT, refusal, write

from asap.dataset import iter_rows
from asap.dataset.jsonl import jsonl_rows
from asap.errors import InputError


@pytest.mark.parametrize("name", ["missing.jsonl", "data/missing.jsonl", "a/b/c", "", "gsm8k", "x\0y", "n" * 5000, "data/missing.parquet"])
def test_a_missing_source_is_refused_with_what_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    refusal(name)


def test_a_path_below_a_file_is_missing(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", TEXT)
    assert "no such file" in refusal(tmp_path / "a.jsonl" / "b")


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "notes.txt", b"x")
    assert ".parquet" in refusal(tmp_path)


@pytest.mark.parametrize("data", [b"", b"\n \n\r\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    packed = {"gz": gzip.compress, "zst": zstandard.compress}.get(name.rpartition(".")[2], bytes)(data)
    assert "is empty" in refusal(write(tmp_path / name, packed))


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_a_compressed_file_of_no_bytes_is_refused(tmp_path: Path, name: str) -> None:
    assert "is empty" in refusal(write(tmp_path / name, b""))


def test_a_parquet_file_without_rows_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": pa.array([], pa.string())}), tmp_path / "a.parquet")
    assert "no rows" in refusal(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    "data",
    [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", TEXT.decode().encode("utf-16"), b"\xff\xfe\xfd", bytes(range(1, 256)) * 300, TEXT + b"\0" * 10],
    ids=["png", "utf-16", "short", "long", "nul"],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
def test_a_binary_file_is_refused(tmp_path: Path, data: bytes, pack: Callable[[bytes], bytes]) -> None:
    assert "binary" in refusal(write(tmp_path / "a.jsonl", pack(data)))


NOISE = b"".join(json.dumps({"a": os.urandom(400).hex()}).encode() + b"\n" for _ in range(500))


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
@pytest.mark.parametrize("cut", [1, 3, 12, 0.5, -1])
def test_a_truncated_archive_is_refused_when_the_end_is_reached(tmp_path: Path, name: str, cut: float) -> None:
    data = (gzip.compress if name.endswith("gz") else zstandard.compress)(NOISE)
    path = write(tmp_path / name, data[: int(len(data) * cut) if isinstance(cut, float) else cut])
    assert "truncated" in refusal(path)


def test_rows_before_the_cut_are_given_first(tmp_path: Path) -> None:
    for name, pack in (("a.gz", gzip.compress), ("a.zst", zstandard.compress)):
        data = pack(NOISE)
        rows = iter_rows(str(write(tmp_path / name, data[: len(data) * 9 // 10])))
        assert next(rows).line == 1


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_a_corrupt_archive_is_refused(tmp_path: Path, name: str) -> None:
    data = bytearray((gzip.compress if name.endswith("gz") else zstandard.ZstdCompressor(write_checksum=True).compress)(NOISE))
    data[len(data) // 2] ^= 0xFF
    assert "corrupt" in refusal(write(tmp_path / name, bytes(data)))


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_text_under_the_name_of_an_archive_is_refused(tmp_path: Path, name: str) -> None:
    assert "corrupt" in refusal(write(tmp_path / name, TEXT))


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-20], lambda data: data[:100], lambda data: b"", lambda data: TEXT, lambda data: b"PAR1PAR1"]
)
def test_a_damaged_parquet_file_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    write(tmp_path / "a.parquet", damage((tmp_path / "a.parquet").read_bytes()))
    assert "corrupt" in refusal(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    "data",
    [json.dumps(ROWS[0], indent=1), "\ufeff" + json.dumps({"rows": ROWS}, indent=1)],
    ids=["pretty object", "with a byte order mark"],
)
def test_a_json_document_is_refused_with_the_way_to_convert_it(tmp_path: Path, data: str) -> None:
    message = refusal(write(tmp_path / "a.json", data.encode()))
    assert "one object per line" in message
    assert "| jq -c" in message
    assert "a-rows.jsonl" in message


@contextmanager
def no_super_user() -> Iterator[None]:
    """Without the rights of root, before which no file is unreadable."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "folder"])
def test_an_unreadable_source_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    _ = path.mkdir() if name == "folder" else path.write_bytes(TEXT)
    path.chmod(0)
    with no_super_user():
        assert "Permission denied" in refusal(path)
    path.chmod(0o700)


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize("long", [b'{"id": "long", "question": "%s"}\n', b"%s\n", b"%s"])
def test_a_line_without_an_end_costs_its_row_and_little_memory(
    suffix: str, long: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asap.dataset.jsonl.LARGEST_ROW", 1 << 20)
    good = json.dumps({"id": "a", "question": "q", "cot": "c", "answer": "a"}).encode() + b"\n"
    content = good + long % (b" " * (1 << 26)) + (good if long.endswith(b"\n") else b"")
    path = tmp_path / f"rows.jsonl{suffix}"
    path.write_bytes(gzip.compress(content) if suffix == ".gz" else zstandard.compress(content) if suffix == ".zst" else content)
    del content
    tracemalloc.start()
    rows = list(jsonl_rows(path))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row.value is None for row in rows] == [False, True, False][: len(rows)]
    assert rows[1].error is not None
    assert (rows[1].line, rows[1].error.reason) == (2, "too_long")
    assert most < 1 << 24


def test_a_list_with_a_row_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asap.dataset.json_array.LARGEST_ROW", 1 << 20)
    path = tmp_path / "rows.json"
    path.write_bytes(b'[{"id": "' + b"a" * (1 << 24) + b'"}]')
    with pytest.raises(InputError, match=r"not valid JSON after row 0 .the next row has more than 1 MiB"):
        list(jsonl_rows(path))


@pytest.mark.parametrize("name", ["../secret.arrow", "/dev/zero", "data/../../secret.arrow", "a\0b"])
def test_a_saved_data_set_reads_nothing_outside_of_its_folder(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    with pytest.raises(InputError, match="which is not in the folder"):
        list(iter_rows(str(folder)))
    (folder / "state.json").unlink()
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": [name]}))
    with pytest.raises(InputError, match="which is not in the folder"):
        list(iter_rows(str(folder)))
