"""Files that appear whole or not at all."""

import fcntl
import io
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import IO

from asap.errors import Busy, InputError

_PARTIAL = re.compile(r"\..+\.\d+\.tmp")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[str]]:
    """A text file to write (UTF-8, "\\n"; compressed for a name in .zst) that replaces `path` when the block ends without an error."""
    target = Path(path)
    with placing(target) as partial, _opened(partial, compressed=target.suffix == ".zst") as file:
        yield file


@contextmanager
def placing(target: Path) -> Iterator[Path]:
    """The name of a file to write, which replaces `target` when the block ends without an error.

    What a killed process left of the same file is removed; a living one holds a lock on what it writes.
    """
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    lock = None
    try:
        _remove_dead(target.parent.glob(f".{escape(target.name)}.*.tmp"))
        lock = os.open(partial, os.O_RDWR | os.O_CREAT, 0o666)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror})") from error
    finally:
        with suppress(OSError):  # replace() has already removed it
            partial.unlink()
        if lock is not None:
            os.close(lock)


@contextmanager
def _opened(path: Path, *, compressed: bool) -> Iterator[IO[str]]:
    if not compressed:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        return
    from pyarrow import CompressedOutputStream, PythonFile

    with (
        path.open("wb") as raw,
        CompressedOutputStream(PythonFile(raw, mode="w"), "zstd") as stream,
        io.TextIOWrapper(stream, encoding="utf-8", newline="\n") as text,
    ):
        yield text


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder for this process. Raises Busy if another one holds it; a file system without locks cannot tell."""
    held = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy.of(folder) from None
        except OSError:
            pass
        yield
    finally:
        os.close(held)


def remove_partials(folder: Path) -> None:
    """Remove the half-written files of killed processes."""
    _remove_dead(folder.iterdir())


def _remove_dead(paths: Iterable[Path]) -> None:
    """Remove those of some files that are half-written, and by no process that lives."""
    for path in [path for path in paths if _PARTIAL.fullmatch(path.name)]:
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
