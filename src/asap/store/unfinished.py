"""What becomes of a folder in which a command did not end: one of no worth goes, any other says which command goes on with it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from asap.errors import InputError
from asap.ownership import hidden_or_void

if TYPE_CHECKING:
    from asap.store.work import Store

_STORE = ("work.sqlite", "work.sqlite-wal", "work.sqlite-shm")


def unfinished(store: "Store") -> InputError:
    """The error to raise about a store whose run has not ended, which names the command that made it."""
    if store.root != store.folder:
        return InputError(f"{store.folder} holds an unfinished cut of {store.root}; run the same asap cut again to finish it")
    made_by = "asap prune" if store.count_rows() else "command"
    return InputError(f"{store.folder} holds an unfinished run; run the same {made_by} again to finish it")


@contextmanager
def gone_if_failed(store: "Store") -> Iterator[None]:
    """A block that makes a folder: if it raises, what it wrote there goes, and the folder with it.

    Not if a run was there before, or if other files of worth are there. Call it before the store is claimed, and hold the store.
    """
    new = store.fact("settings") is None
    try:
        yield
    except BaseException:
        written = {*_STORE, *(store.written() or ())}
        names = {path.name: path for path in store.folder.iterdir()}
        if new and all(name in written or hidden_or_void(path) for name, path in names.items()):
            _remove(store.folder, [path for name, path in names.items() if name in written])
        raise


def _remove(folder: Path, paths: list[Path]) -> None:
    with suppress(OSError):
        for path in paths:
            path.unlink()
        folder.rmdir()
