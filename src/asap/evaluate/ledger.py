"""DIR/evaluation.sqlite: every generation and every verdict, written as soon as it is there, under a key made from its content.

What was generated at what speed is kept for each session, a stretch of work without an interruption.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asap.store.content import Contents, Database

EVALUATION_FILE = "evaluation.sqlite"
EVALUATION_FILES = ("attempts.jsonl", "verdicts.jsonl", "rejected.jsonl", "summary.json", "summary.md")
"""What `asap evaluate` and `asap score` write beside it."""

_SESSIONS = "CREATE TABLE IF NOT EXISTS sessions (id INTEGER PRIMARY KEY, wall_s REAL NOT NULL, generated INTEGER NOT NULL);"


class Ledger:
    """One output folder's work. Open it with `Ledger.open`; only one process can hold it at a time."""

    def __init__(self, database: Database) -> None:
        self._db = database
        done = Contents(database, "done")
        self.get, self.put, self.has, self.missing = done.get, done.put, done.has, done.missing

    def claim_files(self, *names: str) -> None:
        """Make files ours that will be written beside this one. Raises InputError if one is there and no run of this folder wrote it."""
        self._db.claim_files(names, before=EVALUATION_FILES)

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator["Ledger"]:
        """The ledger of a folder, closed at the end."""
        with Database.open(folder / EVALUATION_FILE, _SESSIONS) as database:
            yield cls(database)

    def begin_session(self) -> int:
        """The number of a new session."""
        self._db.execute("INSERT INTO sessions (wall_s, generated) VALUES (0, 0)")
        return int(self._db.execute("SELECT last_insert_rowid()")[0][0])

    def put_generated(self, key: str, value: Mapping[str, Any], session: int, wall_s: float) -> None:
        """Keep a generation, and how long its session has taken up to now."""
        with self._db.transaction():
            self.put(key, {**value, "session": session})
            self._db.execute("UPDATE sessions SET wall_s = ?, generated = generated + 1 WHERE id = ?", (wall_s, session))

    def sessions(self, numbers: Iterable[int]) -> tuple[float, int]:
        """Seconds and generations of these sessions together."""
        found = [
            row for number in set(numbers) for row in self._db.execute("SELECT wall_s, generated FROM sessions WHERE id = ?", (number,))
        ]
        return sum((wall_s for wall_s, _ in found), 0.0), sum(generated for _, generated in found)
