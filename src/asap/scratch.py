"""Temporary folders of which nothing stays: what a killed process left, the next one removes."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK = ".lock"


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """A new folder in the system's temporary folder, whose name begins with `name`; removed at the end, or after a kill by the next one."""
    for left in Path(tempfile.gettempdir()).glob(f"{name}-*"):
        with suppress(OSError):
            _remove_dead(left)
    new = Path(tempfile.mkdtemp(prefix=f".{name}-"))  # under another name until it has its lock
    lock = os.open(new / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    folder = new.rename(new.with_name(new.name.removeprefix(".")))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_dead(folder: Path) -> None:
    """Remove a folder whose process has ended. Raises OSError for one that lives, or is another user's."""
    lock = os.open(folder / _LOCK, os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(lock)
