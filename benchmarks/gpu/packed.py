"""Packed JSONL that travels to a machine with a GPU and back: xz for what is prepared, gzip, to which is appended, for what comes."""

import gzip
import json
import lzma
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from asap.digest import content_digest

Row = Mapping[str, Any]


def write_xz(path: Path, rows: Iterable[Row]) -> str:
    """Write rows, the same bytes for the same rows; returns the digest of the rows."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lzma.compress("".join(line + "\n" for line in lines).encode(), preset=9))
    return content_digest(lines)[:16]


def read_xz(path: Path) -> tuple[list[Row], str]:
    """The rows of a file that `write_xz` wrote, and their digest."""
    lines = lzma.decompress(path.read_bytes()).decode().splitlines()
    return [json.loads(line) for line in lines], content_digest(lines)[:16]


def append_gz(path: Path, rows: Iterable[Row]) -> None:
    """Append rows to a file, as one more gzip member."""
    with path.open("ab") as file:
        file.write(gzip.compress("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(), mtime=0))


def read_gz(path: Path) -> list[Row]:
    """The rows of a packed file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def read_lines(path: Path) -> list[Row]:
    """The rows of a plain file, without a last line that a killed run left half-written."""
    return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]


def packed_facts(folder: Path) -> Any:
    """What was said of the arms when they were packed; None before."""
    file = folder / "packed.json"
    return json.loads(file.read_text("utf-8")) if file.is_file() else None


def code_digest(*names: str) -> str:
    """A digest of scripts of this folder."""
    return content_digest(*(Path(__file__).with_name(f"{name}.py").read_text("utf-8") for name in names))[:16]
