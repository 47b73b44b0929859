"""DIR/work.sqlite: the input in its order, the original traces and what was decided about each, safe against kill -9.

Work is keyed by content (the digest of a row), never by position, and the settings of the run are written beside it: a
rerun does only what is missing, and another budget is cut from what is stored. SQLite in WAL mode: a decision is either
there whole or not at all.
"""

import errno
import json
import os
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from asap.database import trouble
from asap.errors import InputError, RowError
from asap.prune.decision import Decision
from asap.sample import Sample

FILE = "work.sqlite"
_CUT_SETTINGS = ("budget", "ratio", "coarse_only", "backfill")
_KEPT_META = ("tested_code",)  # of the columns beside the content, what a method reads

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS samples (digest TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS decisions (digest TEXT PRIMARY KEY, failed INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seconds (digest TEXT PRIMARY KEY, seconds REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS input (
    position INTEGER PRIMARY KEY, source TEXT NOT NULL, line INTEGER NOT NULL, id TEXT, renamed INTEGER NOT NULL,
    digest TEXT, reason TEXT, detail TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS input_ids ON input (id) WHERE digest IS NOT NULL;
"""


class Entry(NamedTuple):
    """One input row as it ends: a sample with its decision, or what was wrong with it."""

    source: str
    line: int
    id: str | None
    sample: Sample | None
    decision: Decision | None
    error: RowError | None


class Missing(NamedTuple):
    """How much there is to do: distinct usable rows, those of them without a decision, and the bytes that these take stored."""

    rows: int
    rows_missing: int
    bytes_missing: int


class Store:
    """One output folder's work. Open it with `Store.open`; only one process can hold it at a time."""

    def __init__(self, connection: sqlite3.Connection, folder: Path) -> None:
        self._db = connection
        self._copies: dict[str, int] = {}  # ids that came more than once, and the last number that was appended
        self.folder = folder

    @classmethod
    @contextmanager
    def open(cls, folder: Path, *, create: bool = True) -> Iterator["Store"]:
        """The store of a folder, closed at the end. Storage problems become one InputError sentence."""
        if not create and not (folder / FILE).is_file():
            raise InputError(f"{folder} holds no {FILE}, so it is not an output folder of asap prune (or the file was left behind)")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            connection = sqlite3.connect(folder / FILE, isolation_level=None, timeout=1.0, check_same_thread=False)
        except (OSError, sqlite3.OperationalError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise InputError(f"output folder {folder} cannot be written ({reason}); choose another --out") from error
        try:
            connection.executescript("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _SCHEMA)
            yield cls(connection, folder)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise trouble(error, folder / FILE) from error
        finally:
            connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def fact(self, name: str) -> Any:
        """A stored JSON value; None if it was never set."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else _from_json(row[0])

    def set_fact(self, name: str, value: Any) -> None:
        """Store a JSON value under a name."""
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value, sort_keys=True)))

    def claim(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Mark the folder as this run's and return the settings as they are stored; refuse a folder of another run and name what differs.

        A folder in which nothing was decided yet, say after a typing error in the source, is anyone's.
        """
        if self.is_untouched():
            self.set_fact("settings", settings)
        stored: dict[str, Any] = self.fact("settings") or {}
        names = sorted({*stored, *settings})
        differing = [name for name in names if stored.get(name) != settings.get(name)]
        if not differing:
            return stored
        shown = "; ".join(f"{name} is {stored.get(name)!r} there and {settings.get(name)!r} here" for name in differing)
        advice = "choose another --out"
        if stored.get("llm") and stored.get("llm") == settings.get("llm"):
            advice += f" (with --replies {self.folder} no reply is paid for twice)"
        if set(differing) <= set(_CUT_SETTINGS):
            advice += ", or re-cut it in a moment: asap cut " + str(self.folder) + " --budget N --out OTHER"
        raise InputError(f"{self.folder} holds a run with other settings: {shown}; {advice}")

    def clear_input(self) -> None:
        """Forget the order of the input (not the work): it is read anew. Rows that failed are tried again."""
        self._copies.clear()
        self._db.execute("DELETE FROM input")
        self._db.execute("DELETE FROM decisions WHERE failed")

    def add_sample(self, position: int, source: str, line: int, sample: Sample) -> str:
        """Put a usable row at its position; an id that is taken gets `#2`, `#3`, … appended. Returns the id in use."""
        digest, copy = sample.digest(), self._copies.get(sample.id, 1)
        row_id = sample.id if copy == 1 else f"{sample.id}#{copy}"
        while self._db.execute("SELECT 1 FROM input WHERE id = ? AND digest IS NOT NULL", (row_id,)).fetchone():
            copy += 1
            row_id = f"{sample.id}#{copy}"
            self._copies[sample.id] = copy
        meta = {name: sample.meta[name] for name in _KEPT_META if name in sample.meta}
        content = {"question": sample.question, "cot": sample.cot, "answer": sample.answer, "system": sample.system}
        body = _packed({**content, "meta": meta} if meta else content)
        self._db.execute("INSERT OR IGNORE INTO samples VALUES (?, ?)", (digest, body))
        self._db.execute("INSERT INTO input VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)", (position, source, line, row_id, copy > 1, digest))
        return row_id

    def add_rejected(self, position: int, source: str, line: int, error: RowError) -> None:
        """Put a row that cannot be used at its position."""
        self._db.execute(
            "INSERT INTO input VALUES (?, ?, ?, ?, FALSE, NULL, ?, ?)", (position, source, line, error.row_id, error.reason, error.detail)
        )

    def is_untouched(self) -> bool:
        """Whether nothing was decided here yet."""
        return self._db.execute("SELECT 1 FROM decisions LIMIT 1").fetchone() is None

    def missing(self) -> Missing:
        """How much is done and missing; equal rows count once."""
        query = (
            "SELECT COUNT(*), TOTAL(d.digest IS NULL), TOTAL(LENGTH(s.body) * (d.digest IS NULL)) "
            "FROM (SELECT DISTINCT digest FROM input WHERE digest IS NOT NULL) "
            "JOIN samples s USING (digest) LEFT JOIN decisions d USING (digest)"
        )
        rows, rows_missing, bytes_missing = self._db.execute(query).fetchone()
        return Missing(rows, int(rows_missing), int(bytes_missing))

    def batches(self, size: int) -> Iterator[list[tuple[Sample, int]]]:
        """The samples without a decision with their stored bytes, in input order, at most `size` at a time.

        Decide one batch before asking for the next: equal rows are then handed out once.
        """
        position = -1
        query = (
            "SELECT i.position, i.id, i.digest, s.body FROM input i JOIN samples s USING (digest) LEFT JOIN decisions d USING (digest) "
            "WHERE d.digest IS NULL AND i.position > ? ORDER BY i.position LIMIT ?"
        )
        while rows := self._db.execute(query, (position, size)).fetchall():
            position = rows[-1][0]
            distinct = {digest: (Sample(id=row_id, **_unpacked(body)), len(body)) for _, row_id, digest, body in reversed(rows)}
            yield list(reversed(distinct.values()))

    def decide(self, sample: Sample, decision: Decision | RowError, seconds: float | None = None) -> None:
        """Record what was decided about a sample, and how long it took; the seconds decide nothing and are in no other file."""
        failed = isinstance(decision, RowError)
        body = {"reason": decision.reason, "detail": decision.detail} if isinstance(decision, RowError) else decision.as_row()
        self._db.execute("INSERT OR REPLACE INTO decisions VALUES (?, ?, ?)", (sample.digest(), int(failed), _packed(body)))
        if seconds is not None:
            self._db.execute("INSERT OR REPLACE INTO seconds VALUES (?, ?)", (sample.digest(), seconds))

    def seconds(self) -> dict[str, float]:
        """How long the decision took, by row id; a cut of another run has none."""
        query = "SELECT i.id, t.seconds FROM input i JOIN seconds t USING (digest)"
        return dict(self._db.execute(query).fetchall())

    def entries(self) -> Iterator[Entry]:
        """Every input row in order. Raises InputError if a row is not decided yet."""
        rows = self._db.execute(
            "SELECT i.source, i.line, i.id, i.digest, i.reason, i.detail, s.body, d.failed, d.body FROM input i "
            "LEFT JOIN samples s USING (digest) LEFT JOIN decisions d USING (digest) ORDER BY i.position"
        )
        for source, line, row_id, digest, reason, detail, sample_body, failed, body in rows:
            if digest is None:
                yield Entry(source, line, row_id, None, None, RowError(reason, detail, row_id))
                continue
            if body is None:
                raise InputError(f"{self.folder} holds an unfinished run (row {row_id!r} is not decided); run the same asap prune again")
            sample, fields = Sample(id=row_id, **_unpacked(sample_body)), _unpacked(body)
            if failed:
                yield Entry(source, line, row_id, sample, None, RowError(fields["reason"], fields["detail"], row_id))
            else:
                yield Entry(source, line, row_id, sample, self._read({**fields, "id": row_id}), None)

    def decision(self, sample: Sample) -> Decision | None:
        """What was decided about a sample; None where nothing was, or it failed."""
        row = self._db.execute("SELECT body FROM decisions WHERE digest = ? AND NOT failed", (sample.digest(),)).fetchone()
        return self._read({**_unpacked(row[0]), "id": sample.id}) if row else None

    def _read(self, row: Mapping[str, Any]) -> Decision:
        try:
            return Decision.from_row(row)
        except (KeyError, TypeError) as error:
            what = f"its decisions differ in {error}"
            raise InputError(
                f"{self.folder} was written by another version of asap ({what}); run asap prune again into another --out"
            ) from error

    def rows(self) -> Iterator[tuple[Sample | None, str | None]]:
        """Every input row in order, as it was read: the sample, or the reason why there is none."""
        query = "SELECT i.id, i.reason, s.body FROM input i LEFT JOIN samples s USING (digest) ORDER BY i.position"
        for row_id, reason, body in self._db.execute(query):
            yield (None, reason) if body is None else (Sample(id=row_id, **_unpacked(body)), None)

    def renamed(self) -> int:
        """How many rows had an id that was taken."""
        query = "SELECT COUNT(*) FROM input WHERE digest IS NOT NULL AND renamed"
        return int(self._db.execute(query).fetchone()[0])

    def copy_to(self, other: "Store", facts: Mapping[str, Any]) -> None:
        """Make another store a copy of this one, with some facts replaced: all at once or not at all."""
        with other.transaction():
            for table, columns in (("facts", 2), ("samples", 2), ("decisions", 3), ("input", 8)):
                other._db.execute(f"DELETE FROM {table}")
                other._db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})", self._checked_rows(table))
            for name, value in facts.items():
                other.set_fact(name, value)

    def _checked_rows(self, table: str) -> Iterator[tuple[Any, ...]]:
        """Every row of a table. Damage is told as this store's here, where another store's errors could hide it."""
        try:
            for row in self._db.execute(f"SELECT * FROM {table}"):
                for value in row:
                    if isinstance(value, bytes):
                        _unpacked(value)
                yield row
        except sqlite3.Error as error:
            raise trouble(error, self.folder / FILE) from error


def _packed(value: Mapping[str, Any]) -> bytes:
    return zlib.compress(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8"), 6)


def _unpacked(body: bytes) -> dict[str, Any]:
    try:
        text = zlib.decompress(body)
    except zlib.error as error:
        raise sqlite3.DatabaseError(f"a row is malformed: {error}") from error
    value: dict[str, Any] = _from_json(text)
    return value


def _from_json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise sqlite3.DatabaseError(f"a row is malformed: {error}") from error
