"""DIR/evaluation.sqlite: every generation and every verdict, written as soon as it is there, under a key made from its content.

SQLite in WAL mode with full syncing: each is there whole or not at all, also after `kill -9`. What was generated at what
speed is kept for each session, a stretch of work without an interruption.
"""

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asap.database import trouble
from asap.errors import InputError

FILE = "evaluation.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS done (key TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (id INTEGER PRIMARY KEY, wall_s REAL NOT NULL, generated INTEGER NOT NULL);
"""


class Ledger:
    """One output folder's work. Open it with `Ledger.open`; only one process can hold it at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator["Ledger"]:
        """The ledger of a folder, closed at the end. Storage problems become one InputError sentence."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(folder / FILE, isolation_level=None, timeout=1.0, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise InputError(f"output folder {folder} cannot be written ({reason}); choose another --out") from error
        try:
            connection.executescript("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _SCHEMA)
            yield cls(connection)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise trouble(error, folder / FILE) from error
        finally:
            connection.close()

    def get(self, key: str) -> dict[str, Any] | None:
        """What was kept under a key."""
        row = self._db.execute("SELECT body FROM done WHERE key = ?", (key,)).fetchone()
        return None if row is None else _unpacked(row[0])

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Those of the keys under which nothing is kept yet, each once, in their order."""
        return [key for key in dict.fromkeys(keys) if self._db.execute("SELECT 1 FROM done WHERE key = ?", (key,)).fetchone() is None]

    def put(self, key: str, value: Mapping[str, Any]) -> None:
        """Keep a value; the first one under a key stays."""
        body = zlib.compress(json.dumps(value, ensure_ascii=True).encode("ascii"), 6)
        self._db.execute("INSERT OR IGNORE INTO done VALUES (?, ?)", (key, body))

    def begin_session(self) -> int:
        """The number of a new session."""
        cursor = self._db.execute("INSERT INTO sessions (wall_s, generated) VALUES (0, 0)")
        return int(cursor.lastrowid or 0)

    def put_generated(self, key: str, value: Mapping[str, Any], session: int, wall_s: float) -> None:
        """Keep a generation, and how long its session has taken up to now."""
        self._db.execute("BEGIN IMMEDIATE")
        self.put(key, {**value, "session": session})
        self._db.execute("UPDATE sessions SET wall_s = ?, generated = generated + 1 WHERE id = ?", (wall_s, session))
        self._db.execute("COMMIT")

    def sessions(self, numbers: Iterable[int]) -> tuple[float, int]:
        """Seconds and generations of these sessions together."""
        wall_s, generated = 0.0, 0
        for number in set(numbers):
            row = self._db.execute("SELECT wall_s, generated FROM sessions WHERE id = ?", (number,)).fetchone()
            wall_s, generated = wall_s + (row[0] if row else 0.0), generated + (row[1] if row else 0)
        return wall_s, generated


def _unpacked(body: bytes) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(zlib.decompress(body))
    except (zlib.error, ValueError) as error:
        raise sqlite3.DatabaseError(f"an entry is malformed: {error}") from error
    return value
