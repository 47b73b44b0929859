"""Which folders and files a command may write: no output replaces an input, or a file that is not ours.

A folder is written to if it is absent, empty, or holds a run of the same command. What it holds is told by the content of its files:
a table in a database of ours, or the keys of a manifest. A name alone tells nothing.

What this does not do: lock a folder, or compare the settings of two runs (`asap.store`).
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import Any, NamedTuple

from asap.errors import InputError

PRUNED, EVALUATED, COMPARED, TRAINED, REPORTED = "asap prune", "asap evaluate", "asap compare", "asap train", "asap report"
SCORED = "asap score"
"""Its folders have the files of `asap evaluate` and are taken for them; their summary tells."""

DATABASES = {
    "judge.sqlite": ("verdicts", COMPARED),
    "work.sqlite": ("facts", PRUNED),
    "replies.sqlite": ("replies|batches", PRUNED),
    "batches.sqlite": ("batches|answers", PRUNED),
    "evaluation.sqlite": ("done", EVALUATED, COMPARED, PRUNED),
}
"""The databases of our folders: the tables of which each has one, and the commands whose folders may hold it, the usual one first."""
_RECORDS = {
    "manifest.json": (
        (("settings", "counts", "input_hash"), PRUNED),
        (("settings", "rows_without_numbers"), COMPARED),
        (("settings", "train_loss"), TRAINED),
    ),
    "summary.json": ((("asap", "settings", "benchmarks"), EVALUATED),),
    "settings.json": ((("recipe", "template_hash", "values"), TRAINED),),
    "report.json": ((("asap", "reference", "arms", "results"), REPORTED),),
}
_FIRST_ROWS = {
    "decisions.jsonl": (re.compile(rb'\{"id":.*"method":".*"tokens_before":\d+,"tokens_(coarse|after)":'), PRUNED),
    "rows.jsonl": (re.compile(rb'\{"id": .*"tokens": \d+, "response_tokens": \d+\}\n'), TRAINED),
}
"""How the files begin that tell of a run whose database was moved away, or whose rows were written for another tool."""
_BESIDE = ("-wal", "-shm", "-journal")
_HEAD = 1 << 16
_LARGEST_RECORD = 1 << 24
_SHOWN = 3  # the most names in a message


def claim_folder(folder: Path, *commands: str) -> None:
    """Raise InputError unless an output folder is absent, empty, or holds a run of one of these commands."""
    try:
        found = _run_in(folder) if _is_folder(folder) else None
    except OSError as error:
        raise InputError(f"{folder} cannot be looked at ({error.strerror}); choose another --out") from error
    if found in commands:
        return
    if found is not None:
        raise InputError(f"{folder} holds a run of {found}; choose another --out")
    foreign = _foreign_in(folder)
    if broken := [name for name in foreign if name in DATABASES]:
        raise InputError(f"{folder / broken[0]} is damaged, or not a file of asap; move it away to start over, or choose another --out")
    if foreign:
        more = f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else ""
        raise InputError(
            f"{folder} holds {', '.join(foreign[:_SHOWN])}{more}, which asap did not write; choose another --out, a new or an empty folder"
        )


def run_in(folder: Path) -> str | None:
    """The command whose run a folder holds, or None. Raises InputError for what is no folder, or cannot be looked at."""
    try:
        refuse_file(folder)
        return _run_in(folder) if folder.is_dir() else None
    except OSError as error:
        raise InputError(f"{folder} cannot be looked at ({error.strerror})") from error


def refuse_absent(folder: Path) -> None:
    """Raise InputError where the folder of a run is to be read and there is none."""
    refuse_file(folder)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; name the output folder of a run")


def refuse_file(folder: Path) -> None:
    """Raise InputError for a file where the folder of a run is to be read."""
    _check_name(folder)
    if os.path.lexists(folder) and not folder.is_dir():
        raise InputError(f"{folder} is a file, not the output folder of a run")


def _run_in(folder: Path) -> str | None:
    if (folder / "runs" / "asap" / "work.sqlite").is_file():
        return COMPARED
    for name, (tables, command, *_) in DATABASES.items():
        if _has_table(folder / name, tables):
            return command
    return written_run_in(folder)


def written_run_in(folder: Path) -> str | None:
    """The command that wrote a manifest, a summary or rows into a folder; None if there is none of ours."""
    for name, records in _RECORDS.items():
        found = record_in(folder / name)
        for keys, command in records:
            if found is not None and all(key in found for key in keys):
                return command
    for name, (first_row, command) in _FIRST_ROWS.items():
        if (folder / name).is_file() and first_row.match(_head(folder / name)):
            return command
    corpora = (record_in(path) for path in folder.glob("corpus-*/facts.json"))
    return TRAINED if any(facts is not None and "rows_hash" in facts for facts in corpora) else None


def record_in(path: Path) -> dict[str, Any] | None:
    """The object in a small JSON file, or None."""
    if not path.is_file() or path.stat().st_size > _LARGEST_RECORD:
        return None
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def refuse_output_folder(source: Path) -> None:
    """Raise InputError if a folder of data is an output folder of ours, whose files are no data set together."""
    if command := run_in(source):
        example = source / ("pruned.jsonl" if command == PRUNED else "rows.jsonl")
        raise InputError(
            f"{source} is an output folder of {command}, whose files together are no data set; name the file to read, such as {example}"
        )


class FileId(NamedTuple):
    """What tells a file from all others, however its name is spelled."""

    device: int
    inode: int

    @classmethod
    def of(cls, state: os.stat_result) -> "FileId":
        """The id of the file that has this state."""
        return cls(state.st_dev, state.st_ino)


def refuse_sources(folder: Path, sources: Iterable[str | Path], written: Iterable[str] | None = None) -> None:
    """Raise InputError if a source is among the files that will be `written` into a folder, by whatever name.

    Without `written`, no source may lie in the folder at all, nor the folder in a source. What does not exist is not looked at.
    """
    _is_folder(folder)
    out, held = file_id(folder), {found: name for name in _names_in(folder) if (found := file_id(folder / name))}
    names = None if written is None else {*written}
    above = {file_id(path) for path in folder.resolve().parents}
    for source in map(Path, sources):
        _refuse_source(source, folder, out, held, names, above)


def _refuse_source(
    source: Path, folder: Path, out: FileId | None, held: dict[FileId, str], names: set[str] | None, above: set[FileId | None]
) -> None:
    found = file_id(source)
    if found is None:
        return
    if found == out:
        raise InputError(f"{source} is the folder to write into; choose another --out")
    if found in above and names is None:
        raise InputError(f"{folder} lies in the folder {source}, which is read; choose an --out outside of it")
    if names is None and out is not None and out in map(file_id, source.resolve().parents):
        raise InputError(f"{source} lies in {folder}, the folder to write into; choose another --out")
    inside = [found, *(file for name in _names_in(source) if (file := file_id(source / name)))]
    if shared := [held[file] for file in inside if file in held and (names is None or held[file] in names)]:
        known_as = f", under the name {folder / shared[0]}" if folder / shared[0] != source else ""
        raise InputError(f"{source} is read, and would be replaced{known_as}; choose another --out")


def same_file(one: Path, other: Path) -> bool:
    """Whether two names lead to the same file or folder."""
    _check_name(one)
    _check_name(other)
    found = file_id(one)
    return one.resolve() == other.resolve() or (found is not None and found == file_id(other))


def check_file(path: Path, is_ours: Callable[[bytes], bool], what: str) -> None:
    """Raise InputError if a file to be written is there already and not ours, as its first 64 KiB tell. `what` we write there."""
    _check_name(path)
    if path.name in {name + end for name in DATABASES for end in _BESIDE}:
        raise InputError(f"{path} has the name of a file that a run keeps its work in; choose another --out")
    try:
        state = path.stat() if os.path.lexists(path) else None
        if state is None:
            return
        if path.is_dir():
            raise InputError(f"{path} is a folder; name a file, for example --out {path / what}")
        if not S_ISREG(state.st_mode):
            raise InputError(f"{path} is not a plain file, so it cannot be replaced; choose another --out")
        head = _head(path)
    except OSError as error:
        raise InputError(f"{path} cannot be looked at ({error.strerror}); choose another --out") from error
    if head and not is_ours(head):
        raise InputError(f"{path} is there already, and is not what this command writes; choose another --out, or move that file away")


def refuse_foreign_files(folder: Path, names: Iterable[str], ours: Iterable[str]) -> None:
    """Raise InputError if a file to be written is there already and is not among ours."""
    for name in sorted({*names} - {*ours}):
        if os.path.lexists(folder / name) and not _is_void(folder / name):
            raise InputError(f"{folder / name} is there already, and asap did not write it; move it away, or choose another --out")


def _is_folder(folder: Path) -> bool:
    _check_name(folder)
    if not folder.is_dir() and os.path.lexists(folder):
        raise InputError(f"output folder {folder} cannot be written (it is a file); choose another --out")
    return folder.is_dir()


def _check_name(path: Path) -> None:
    if "\0" in str(path):
        raise InputError(f"{str(path)!r} is not a file name: it holds a NUL character")


def _foreign_in(folder: Path) -> list[str]:
    """The names in a folder without a run that hold something: neither hidden nor void, and not what this process prints into."""
    prints = set[FileId]()
    for stream in (1, 2):
        with suppress(OSError):
            prints.add(FileId.of(os.fstat(stream)))
    return [name for name in _names_in(folder) if not hidden_or_void(folder / name) and file_id(folder / name) not in prints]


def hidden_or_void(path: Path) -> bool:
    """Whether a file is of no account: hidden, or without content."""
    return path.name.startswith(".") or _is_void(path)


def _is_void(path: Path) -> bool:
    """Whether a file holds nothing: no bytes, or a database without a table, as a kill may leave it, and the files beside it."""
    if path.name.endswith(_BESIDE):
        main = path.with_name(path.name.rpartition("-")[0])
        return main.name in DATABASES and (not main.exists() or _is_void(main))
    if not path.is_file():
        return False
    return path.stat().st_size == 0 or (path.name in DATABASES and b"CREATE " not in _content(path) and _is_database(path))


def _has_table(path: Path, tables: str) -> bool:
    """Whether a file is a database with one of these tables, as far as its beginning and that of its log tell: it may be locked."""
    if not path.is_file() or not (path.stat().st_size == 0 or _is_database(path)):
        return False
    return re.search(rb"CREATE TABLE \"?(?:%s)\"? *\(" % tables.encode(), _content(path)) is not None


def _is_database(path: Path) -> bool:
    return _head(path).startswith(b"SQLite format 3\0")


def _content(path: Path) -> bytes:
    """The beginning of a database and of its log."""
    log = path.with_name(f"{path.name}-wal")
    return _head(path) + (_head(log) if log.is_file() else b"")


def _names_in(folder: Path) -> Iterator[str]:
    if folder.is_dir():
        yield from sorted(path.name for path in folder.iterdir())


def file_id(path: Path) -> FileId | None:
    """The id of the file with this name; None if there is none."""
    try:
        return FileId.of(path.stat())
    except (OSError, ValueError):  # whoever opens it will tell
        return None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)
