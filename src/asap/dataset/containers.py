"""Containers: turns a file, a folder or a Hub id into a stream of raw rows, in constant memory."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from asap.dataset.columnar import is_saved, parquet_rows, saved_rows, saved_split
from asap.dataset.hub import hub_rows, looks_like_hub_id
from asap.dataset.jsonl import jsonl_rows
from asap.dataset.layout import chosen_files
from asap.dataset.raw import RawRow
from asap.errors import InputError
from asap.ownership import refuse_output_folder

__all__ = ["RawRow", "iter_rows"]

ALLOWED = "JSONL (also .gz, .zst), a JSON list of rows, Parquet, a folder of them, a save_to_disk folder, or a Hub id owner/name"

_PARQUET = b"PAR1"


def iter_rows(source: str, *, hub_config: str | None = None, hub_split: str | None = None) -> Iterator[RawRow]:
    """The rows of a source in order. Raises InputError if the source as a whole cannot be used.

    `hub_config` chooses a subset and `hub_split` a split of a folder or a data set on the Hub; they are refused where there are none.
    """
    path = Path(source)
    if not _is_there(path, source):
        return hub_rows(source, hub_config, hub_split)
    if path.is_dir():
        refuse_output_folder(path)
    if path.is_dir() and is_saved(path):
        return saved_rows(saved_split(path, hub_config, hub_split))
    return chain.from_iterable(map(_file_rows, files_of(path, hub_config, hub_split)))


def files_of(path: Path, hub_config: str | None = None, hub_split: str | None = None) -> list[Path]:
    """The files that the rows of a file or folder come from, in order. Raises InputError for a choice that there is not."""
    if not path.is_dir():
        for option, value in (("subset", hub_config), ("split", hub_split)):
            if value is not None:
                raise InputError(f"{path} is one file, which has no {option} {value!r}: leave --{option} out, or name its folder")
        return [path]
    if is_saved(path):
        return sorted(file for file in saved_split(path, hub_config, hub_split).rglob("*") if file.is_file())
    return chosen_files(_snapshot(path), hub_config, hub_split)


def _is_there(path: Path, source: str) -> bool:
    """Whether the source is a file or folder; if not, it is on the Hub. Raises InputError if it can be neither."""
    try:
        path.stat()
        return True
    except (FileNotFoundError, NotADirectoryError):
        if looks_like_hub_id(source):
            return False
        raise InputError(f"{source}: there is no such file or folder; allowed: {ALLOWED}") from None
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror})") from error
    except ValueError as error:  # a NUL in the name
        raise InputError(f"{source!r}: is not a file name ({error})") from error


def _snapshot(folder: Path) -> Path:
    """The folder itself, or the snapshot in it if it is a data set's folder in the Hub's cache."""
    snapshots = folder / "snapshots"
    if not (snapshots.is_dir() and (folder / "blobs").is_dir()):
        return folder
    found = sorted(path for path in snapshots.iterdir() if path.is_dir())
    if len(found) == 1:
        return found[0]
    shown = ", ".join(path.name for path in found) or "none"
    raise InputError(f"{folder}: the Hub's cache has several snapshots of the data set here; name one of them: {snapshots}/ {shown}")


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
