"""DIR/evaluation.sqlite: every generation and every verdict, written as soon as it is there, under a key made from its content.

What was generated at what speed is kept for each session, a stretch of work without an interruption.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asap.evaluate.stored import is_verdict, wrong_in_generation, wrong_in_identity
from asap.lm.fields import clean_text, count_in, number_in
from asap.store.content import Contents, Database

EVALUATION_FILE = "evaluation.sqlite"
EVALUATION_FILES = ("attempts.jsonl", "verdicts.jsonl", "rejected.jsonl", "summary.json", "summary.md")
"""What `asap evaluate` and `asap score` write beside it."""

_SESSIONS = "CREATE TABLE IF NOT EXISTS sessions (id INTEGER PRIMARY KEY, wall_s REAL NOT NULL, generated INTEGER NOT NULL);"


class Ledger:
    """One output folder's work. Open it with `Ledger.open`; only one process can hold it at a time."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._done = Contents(database, "done")
        self.put, self.has = self._done.put, self._done.has

    def found(self, key: str, fits: Callable[[object], bool]) -> Any:
        """The value under a key; None if there is none that fits: what was damaged is made anew, and `keep` then replaces it."""
        return self._done.sound(key, fits)

    def keep(self, key: str, value: Any) -> None:
        """Store a value, in the place of a damaged one."""
        self._done.replace(key, value)

    def verdict(self, key: str) -> dict[str, Any] | None:
        """The record of a verdict; None if there is none, or a damaged one."""
        record: dict[str, Any] | None = self.found(key, is_verdict)
        return record

    def generation(self, key: str) -> dict[str, Any] | None:
        """The row of a generation, or None. Raises InputError for a damaged one, which may have been paid for."""
        row = self._whole(key, wrong_in_generation)
        return row and {**row, **{name: clean_text(row[name]) for name in ("text", "stopped_by")}}

    def identity(self, session: int) -> dict[str, Any]:
        """What the model of a session said of itself; empty if nothing was stored. Raises InputError if that is damaged."""
        return self._whole(_identity_key(session), wrong_in_identity) or {}

    def _whole(self, key: str, wrong_in: Callable[[object], str | None]) -> dict[str, Any] | None:
        wrong: str | None = "it cannot be unpacked"

        def fits(value: object) -> bool:
            nonlocal wrong
            wrong = wrong_in(value)
            return wrong is None

        found: dict[str, Any] | None = self.found(key, fits)
        if found is None and self.has(key):
            raise self._done.damage(key, wrong)
        return found

    def claim_files(self, *names: str) -> None:
        """Make files ours that will be written beside this one. Raises InputError if one is there and no run of this folder wrote it."""
        self._db.claim_files(names, before=EVALUATION_FILES)

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator["Ledger"]:
        """The ledger of a folder, closed at the end."""
        with Database.open(folder / EVALUATION_FILE, _SESSIONS) as database:
            yield cls(database)

    def begin_session(self, identity: Mapping[str, Any]) -> int:
        """The number of a new session, with what its model says of itself."""
        self._db.execute("INSERT INTO sessions (wall_s, generated) VALUES (0, 0)")
        session = int(self._db.execute("SELECT last_insert_rowid()")[0][0])
        self.keep(_identity_key(session), dict(identity))
        return session

    def put_generated(self, key: str, value: Mapping[str, Any], session: int, wall_s: float) -> None:
        """Keep a generation, and how long its session has taken up to now."""
        with self._db.transaction():
            self.put(key, {**value, "session": session})
            self._db.execute("UPDATE sessions SET wall_s = ?, generated = generated + 1 WHERE id = ?", (wall_s, session))

    def sessions(self, numbers: Iterable[int]) -> tuple[float, int]:
        """Seconds and generations of these sessions together. Raises InputError for one that is missing or damaged."""
        seconds, generations = 0.0, 0
        for number in set(numbers):
            found = self._db.execute("SELECT wall_s, generated FROM sessions WHERE id = ?", (number,))
            wall_s, generated = found[0] if found else (None, None)
            if number_in(wall_s) is None or wall_s < 0 or count_in(generated) is None:
                raise self._db.damage(f"session {number} took {wall_s!r} seconds for {generated!r} answers")
            seconds, generations = seconds + wall_s, generations + generated
        return seconds, generations


def _identity_key(session: int) -> str:
    return f"identity-{session}"
