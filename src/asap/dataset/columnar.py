"""Parquet files and `save_to_disk` folders, read batch by batch with pyarrow."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from asap.dataset.jsonl import read_json
from asap.dataset.raw import RawRow
from asap.errors import InputError, one_line

_BATCH = 64  # rows turned into Python objects at a time
_BUFFER = 1 << 16


def parquet_rows(path: Path) -> Iterator[RawRow]:
    """The rows of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = 0
    try:
        # pre_buffer, pyarrow's default, would hold a whole row group, often the whole file
        with pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
            for row in _numbered(str(path), file.iter_batches(batch_size=_BATCH)):
                rows += 1
                yield row
    except (pa.ArrowException, OSError) as error:
        raise InputError(_unreadable(path, "Parquet file", error)) from error
    if not rows:
        raise InputError(f"{path}: the Parquet file has no rows")


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` wrote the folder."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def saved_rows(folder: Path) -> Iterator[RawRow]:
    """The rows of a folder that `save_to_disk` wrote of one split."""
    rows = 0
    for row in _numbered(str(folder), _stream_batches(_arrow_files(folder))):
        rows += 1
        yield row
    if not rows:
        raise InputError(f"{folder}: the saved data set has no rows")


def saved_split(folder: Path, config: str | None, split: str | None) -> Path:
    """The folder of one split of what `save_to_disk` wrote; a DatasetDict with several needs `split`."""
    if config is not None:
        raise InputError(f"{folder}: what save_to_disk wrote has no subsets, so there is no {config!r}; leave --subset out")
    if (folder / "dataset_dict.json").is_file():
        return _inside(folder, _chosen_split(folder, split), "dataset_dict.json")
    if split is not None:
        raise InputError(f"{folder}: save_to_disk wrote it without splits, so there is no {split!r}; leave --split out")
    return folder


def _chosen_split(folder: Path, split: str | None) -> str:
    listing = read_json(folder / "dataset_dict.json")
    splits = listing.get("splits") if isinstance(listing, Mapping) else None
    if not isinstance(splits, list) or not splits:
        raise InputError(f"{folder / 'dataset_dict.json'}: names no splits")
    names = [str(name) for name in splits]
    if split is None and len(names) == 1:
        return names[0]
    if split is None:
        raise InputError(f"{folder}: the data set has several splits; choose one with --split: {', '.join(names)}")
    if split not in names:
        raise InputError(f"{folder}: there is no split {split!r}; allowed for --split: {', '.join(names)}")
    return split


def _arrow_files(folder: Path) -> list[Path]:
    state = read_json(folder / "state.json")
    files = state.get("_data_files") if isinstance(state, Mapping) else None
    if not isinstance(state, Mapping) or not isinstance(files, list):
        raise InputError(f"{folder / 'state.json'}: names no data files; is the folder complete?")
    if any(value for key, value in state.items() if key.startswith("_indices")):
        raise InputError(
            f"{folder}: an old version of datasets saved this data set with a separate index file; "
            "load it and call flatten_indices() and save_to_disk() once more"
        )
    try:
        return [_inside(folder, str(file["filename"]), "state.json") for file in files]
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / 'state.json'}: a data file has no file name") from error


def _inside(folder: Path, name: str, listing: str) -> Path:
    """What a file of a folder names in it. Raises InputError for a name that leads out of the folder."""
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise InputError(f"{folder / listing}: names {name!r}, which is not in the folder")
    return folder / path


def _stream_batches(files: Iterable[Path]) -> Iterator[Any]:
    import pyarrow as pa

    for path in files:
        try:
            with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as reader:
                for batch in reader:
                    for start in range(0, batch.num_rows, _BATCH):
                        yield batch.slice(start, _BATCH)
        except (pa.ArrowException, OSError) as error:
            raise InputError(_unreadable(path, "Arrow file", error)) from error


def _numbered(source: str, batches: Iterable[Any]) -> Iterator[RawRow]:
    line = 0
    for batch in batches:
        for value in _values(batch):
            line += 1
            if isinstance(value, Exception):
                reason = "bad_utf8" if isinstance(value, UnicodeDecodeError) else "bad_value"
                yield RawRow.bad(source, line, reason, f"a value cannot be read: {value}")
            else:
                yield RawRow.good(source, line, value)


def _values(batch: Any) -> Iterator[Mapping[str, object] | Exception]:
    """The rows of a batch. Parquet does not check that text is UTF-8, so a bad row must not hide the others."""
    try:
        yield from batch.to_pylist()
    except (ValueError, OverflowError):
        if batch.num_rows == 1:
            yield _value_by_value(batch)
            return
        for index in range(batch.num_rows):
            yield from _values(batch.slice(index, 1))


def _value_by_value(batch: Any) -> Mapping[str, object] | Exception:
    """The only row of a batch, with text for times that Python's types cannot hold; the error of any other value that cannot be read."""
    import pyarrow as pa

    row = dict[str, object]()
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            row[name] = column[0].as_py()
        except (ValueError, OverflowError) as error:
            if not pa.types.is_temporal(column.type):
                return error
            row[name] = column[0].cast(pa.string()).as_py()
    return row


def _unreadable(path: Path, kind: str, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return f"{path}: cannot be read ({error.strerror or error})"
    return f"{path}: the {kind} is truncated or corrupt ({one_line(error)}); get the file again"
