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
    """One folder's batches. Open it with `OpenBatches.open`; only one process can hold it at a time."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._batches, self._answers = Contents(database, "batches", "id"), Contents(database, "answers")

    @classmethod
    @contextmanager
    def open(cls, folder: Path | None) -> Iterator["OpenBatches"]:
        """The batches of a folder (None: only in memory), closed at the end."""
        with Database.open(folder / _FILE if folder else None) as database:
            yield cls(database)

    def add(self, batch_id: str, requests: int) -> None:
        """Remember a batch that was handed in."""
        self._batches.put(batch_id, requests)

    def all(self) -> dict[str, int]:
        """How many requests each batch has that has not come back."""
        ids = [row[0] for row in self._db.execute("SELECT id FROM batches ORDER BY id")]
        return {batch_id: self._batches.get(batch_id) for batch_id in ids}

    def close(self, batch_id: str, answers: Mapping[str, Any] | None = None) -> None:
        """Forget a batch that came back with these answers, or is lost."""
        with self._db.transaction():
            for key, answer in (answers or {}).items():
                self._answers.put(key, answer)
            self._db.execute("DELETE FROM batches WHERE id = ?", (batch_id,))

    def answer(self, key: str) -> Any:
        """The body of the completion that came back for a request; None where none did."""
        return self._answers.get(key)


def add_batches(folder: Path, requests: Mapping[str, int]) -> None:
    """Remember in a folder batches that were handed in, and how many requests each has."""
    with OpenBatches.open(folder) as batches:
        for batch_id, count in requests.items():
            batches.add(batch_id, count)


def open_batches(folder: Path) -> list[str]:
    """The batches that a folder waits for."""
    if not (folder / _FILE).is_file():
        return []
    with OpenBatches.open(folder) as batches:
        return list(batches.all())
