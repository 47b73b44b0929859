"""DIR/batches.sqlite: the batches that a provider works on for a run, and the answers of those that came back.

It stores an answer before it forgets the batch, so nothing paid for is lost, not even by `kill -9`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asap.store.content import Contents, Database

_FILE = "batches.sqlite"


class OpenBatches:
    """One folder's batches, each by its mark or id, and answers by key. Open it with `OpenBatches.open`."""

    def __init__(self, database: Database) -> None:
        self._db = database
        batches, answers = Contents(database, "batches", "id"), Contents(database, "answers")
        self.add, self.answer, self._put = batches.put, answers.get, answers.put

    @classmethod
    @contextmanager
    def open(cls, folder: Path | None) -> Iterator["OpenBatches"]:
        """The batches of a folder (None: only in memory), closed at the end; one process at a time can hold them."""
        with Database.open(folder / _FILE if folder else None) as database:
            yield cls(database)

    def names(self) -> list[str]:
        """The batches that have not come back."""
        return [name for [name] in self._db.execute("SELECT id FROM batches ORDER BY id")]

    def close(self, name: str, answers: Mapping[str, Any] | None = None) -> None:
        """Forget a batch that came back with these answers, or is lost."""
        with self._db.transaction():
            for key, answer in (answers or {}).items():
                self._put(key, answer)
            self._db.execute("DELETE FROM batches WHERE id = ?", (name,))


def open_batches(folder: Path) -> list[str]:
    """The batches that a folder waits for."""
    if not (folder / _FILE).is_file():
        return []
    with OpenBatches.open(folder) as batches:
        return batches.names()
