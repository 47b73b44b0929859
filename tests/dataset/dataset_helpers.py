"""Rows and containers that the tests of this folder share."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from asap.dataset import iter_rows
from asap.errors import InputError

ROWS: list[dict[str, object]] = [{"id": f"r{n}", "question": f"q{n} é", "response": f"<think>\nt{n}\n</think>\n\na{n}"} for n in range(5)]
TEXT = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


def values(source: Path | str, **options: str) -> list[object]:
    return [row.value for row in iter_rows(str(source), **options)]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def refusal(source: Path | str, **options: str) -> str:
    """The message of the InputError that the source raises: one line that starts with a path or a name."""
    with pytest.raises(InputError) as caught:
        values(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def save(folder: Path, *, shards: int = 1, splits: tuple[str, ...] = ()) -> Path:
    datasets = pytest.importorskip("datasets", reason="needs the extra hub")
    datasets.disable_progress_bars()
    data = datasets.Dataset.from_list(ROWS)
    if splits:
        datasets.DatasetDict(dict.fromkeys(splits, data)).save_to_disk(folder)
    else:
        data.save_to_disk(folder, num_shards=shards)
    return folder


CONTAINERS: dict[str, Callable[[Path], object]] = {
    "a.jsonl": lambda path: path.write_bytes(TEXT),
    "a.json": lambda path: path.write_bytes(TEXT),
    "no-suffix": lambda path: path.write_bytes(TEXT),
    "a.jsonl.gz": lambda path: path.write_bytes(gzip.compress(TEXT)),
    "two-members.gz": lambda path: path.write_bytes(gzip.compress(TEXT[:40]) + gzip.compress(TEXT[40:])),
    "gzip-without-suffix": lambda path: path.write_bytes(gzip.compress(TEXT)),
    "a.jsonl.zst": lambda path: path.write_bytes(zstandard.compress(TEXT)),
    "two-frames.zst": lambda path: path.write_bytes(zstandard.compress(TEXT[:40]) + zstandard.compress(TEXT[40:])),
    "a.parquet": lambda path: pq.write_table(pa.Table.from_pylist(ROWS), path),
    "parquet-without-suffix": lambda path: pq.write_table(pa.Table.from_pylist(ROWS), path),
    "saved": lambda path: save(path),
    "saved-shards": lambda path: save(path, shards=3),
}
