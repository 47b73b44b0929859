"""Files that appear whole or not at all."""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from asap.errors import InputError

_PARTIAL = re.compile(r"\..+\.\d+\.tmp")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[str]]:
    """A text file to write (UTF-8, "\\n"; compressed for a name in .zst) that replaces `path` when the block ends without an error."""
    target = Path(path)
    with placing(target) as partial, _opened(partial, compressed=target.suffix == ".zst") as file:
        yield file


@contextmanager
def placing(target: Path) -> Iterator[Path]:
    """The name of a file to write, which replaces `target` when the block ends without an error."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror})") from error
    finally:
        with suppress(OSError):  # replace() has already removed it
            partial.unlink()


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


def remove_partials(folder: Path) -> None:
    """Remove the half-written files of killed processes. Safe only in a folder that no other process writes to."""
    for path in folder.iterdir():
        if _PARTIAL.fullmatch(path.name):
            with suppress(OSError):
                path.unlink()
