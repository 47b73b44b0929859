"""Containers: turns a file, a folder or a Hub id into a stream of raw rows, in constant memory."""

import re
from collections.abc import Iterator
from pathlib import Path

from asap.dataset.columnar import is_saved, parquet_rows, saved_rows
from asap.dataset.hub import hub_rows, looks_like_hub_id
from asap.dataset.jsonl import jsonl_rows
from asap.dataset.raw import RawRow
from asap.errors import InputError
from asap.ownership import refuse_output_folder

__all__ = ["RawRow", "iter_rows"]

ALLOWED = "JSONL (also .gz, .zst), Parquet, a folder of them, a save_to_disk folder, or a Hub id owner/name"

_IN_FOLDER = re.compile(r"[^.].*\.(jsonl|jsonl\.gz|jsonl\.zst|parquet)")
_PARQUET = b"PAR1"


def iter_rows(source: str, *, hub_config: str | None = None, hub_split: str | None = None) -> Iterator[RawRow]:
    """The rows of a source in order. Raises InputError if the source as a whole cannot be used.

    `hub_config` names a config of a Hub data set, `hub_split` a split of a Hub data set or of a saved DatasetDict;
    other sources ignore both.
    """
    path = Path(source)
    try:
        path.stat()
        folder = path.is_dir()
    except (FileNotFoundError, NotADirectoryError):
        if looks_like_hub_id(source):
            return hub_rows(source, hub_config, hub_split)
        raise InputError(f"{source}: there is no such file or folder; allowed: {ALLOWED}") from None
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror})") from error
    except ValueError as error:  # a NUL in the name
        raise InputError(f"{source!r}: is not a file name ({error})") from error
    if folder:
        refuse_output_folder(path)
        return _folder_rows(path, hub_split)
    return _file_rows(path)


def _folder_rows(folder: Path, split: str | None) -> Iterator[RawRow]:
    if is_saved(folder):
        yield from saved_rows(folder, split)
        return
    files = files_in(folder)
    if not files:
        raise InputError(f"{folder}: the folder holds no .jsonl, .jsonl.gz, .jsonl.zst or .parquet file and was not made by save_to_disk")
    for path in files:
        yield from _file_rows(path)


def files_in(folder: Path) -> list[Path]:
    """The files that a folder's rows come from, in order."""
    try:
        if is_saved(folder):
            return sorted(path for path in folder.rglob("*") if path.is_file())
        return sorted(path for path in folder.iterdir() if _IN_FOLDER.fullmatch(path.name) and path.is_file())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from error


def _file_rows(path: Path) -> Iterator[RawRow]:
    return parquet_rows(path) if path.suffix == ".parquet" or _starts_with(path, _PARQUET) else jsonl_rows(path)


def _starts_with(path: Path, magic: bytes) -> bool:
    if not path.is_file():  # peeking into a pipe would consume its bytes
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
