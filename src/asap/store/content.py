"""SQLite files of an output folder: JSON values under keys derived from their content, each written whole or not at all.

A file is in WAL mode and belongs to one process at a time; writes survive `kill -9`. Any failure becomes an InputError of one
sentence about that file, even when several are open at once.

What this does not do: make keys, or delete values.
"""

import errno
import json
import os
import re
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from shlex import quote
from typing import Any, Literal

from asap.errors import Busy, InputError
from asap.ownership import DATABASES, claim_folder, file_id, refuse_foreign_files, written_run_in

_EXCLUSIVE = "PRAGMA main.locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous={};"
_WRITTEN = "CREATE TABLE IF NOT EXISTS written (name TEXT PRIMARY KEY);"
_PIECE = 200
_PATIENCE_S = {False: 1.0, True: 30.0}  # processes that share a file wait for each other


class Database:
    """An open SQLite file, from `Database.open`."""

    def __init__(self, connection: sqlite3.Connection, file: Path) -> None:
        self._connection = connection
        self._file = file
        self._attached: dict[str, Path] = {}
        self._file_id = file_id(file)

    @classmethod
    @contextmanager
    def open(
        cls, file: Path | None, schema: str = "", *, synchronous: Literal["FULL", "NORMAL"] = "FULL", shared: bool = False
    ) -> Iterator["Database"]:
        """A file's database (None: in memory), closed at the end; creates its folder. Several processes may open a `shared` file.

        Raises InputError for an output folder that is not ours.
        """
        folder = file.parent if file else Path()
        ours = file is not None and file.name in DATABASES
        if file and ours:
            claim_folder(folder, *DATABASES[file.name][1:])
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if file and not os.access(folder, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            where, patience = file.absolute() if file else ":memory:", _PATIENCE_S[shared]
            connection = sqlite3.connect(where, uri=True, isolation_level=None, timeout=patience, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise InputError(f"output folder {folder} cannot be written ({reason}); choose another --out") from error
        database = cls(connection, file or Path(":memory:"))
        try:
            with database._errors():
                connection.executescript("" if shared else _EXCLUSIVE.format(synchronous))
                is_new = ours and not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
                connection.executescript(schema + (_WRITTEN if is_new and not written_run_in(folder) else ""))
            yield database
            if not shared:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()

    @classmethod
    @contextmanager
    def reading(cls, file: Path, table: str) -> Iterator["Database"]:
        """A file's database, read-only and closed at the end. Raises InputError if it lacks the table."""
        with ExitStack() as stack:
            try:
                connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=1.0, check_same_thread=False)
                stack.enter_context(closing(connection)).execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()
            except sqlite3.Error as error:
                raise InputError(f"{file} cannot be read ({error})") from error
            yield cls(connection, file)

    def attach(self, file: Path, tables: Iterable[str]) -> str:
        """Read these tables from another file from now on, and return the name of its schema. Several processes may read a file.

        A table that the file lacks, as one of an earlier version may, stays this database's own.
        """
        name = f"file{len(self._attached)}"
        self._attached[name] = file
        with _errors_of(file):
            self._connection.execute(f"ATTACH ? AS {name}", (_address(file),))
            there = {found for [found] in self._connection.execute(f"SELECT name FROM {name}.sqlite_master")}  # now, if it is locked
            for table in there.intersection(tables):
                self._connection.execute(f"DROP VIEW IF EXISTS temp.{table}")
                self._connection.execute(f"CREATE TEMP VIEW {table} AS SELECT * FROM {name}.{table}")
        return name

    def detach(self) -> None:
        """Read all tables from this database's own file again."""
        for [view] in self.execute("SELECT name FROM temp.sqlite_master WHERE type = 'view'"):
            self.execute(f"DROP VIEW temp.{view}")
        while self._attached:
            self.execute(f"DETACH {self._attached.popitem()[0]}")

    def execute(self, sql: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows that a statement returns."""
        with self._errors():
            return self._connection.execute(sql, tuple(values)).fetchall()

    def execute_many(self, sql: str, rows: Iterable[Iterable[Any]]) -> None:
        """Run a statement for each row of values."""
        with self._errors():
            self._connection.executemany(sql, rows)  # type: ignore[arg-type]

    def rows(self, sql: str, values: Iterable[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, one by one."""
        with self._errors():
            for row in self._connection.execute(sql, tuple(values)):  # noqa: UP028 (would close the cursor, perhaps after the file)
                yield row

    def copy(self, table: str, other: "Database") -> None:
        """Put this database's rows of a table into another one's, in pieces, after checking that their bodies are intact."""
        rows = self.rows(f"SELECT * FROM {table}")
        while piece := list(islice(rows, _PIECE)):
            for body in chain.from_iterable(piece):
                if isinstance(body, bytes):
                    self.text(body)
            with other.transaction():
                other.execute_many(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(piece[0]))})", piece)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A block whose statements take effect all together or not at all. Raises InputError if somebody deleted or replaced the file."""
        if file_id(self._file) != self._file_id:  # SQLite would go on in the file that nobody can find any more
            raise InputError(f"{self._file} was deleted or replaced while this command ran; run it again")
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:
                self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")

    def written(self) -> set[str] | None:
        """The names of the files beside this database that were written from it; None if an earlier version did not record them."""
        if not self.execute("SELECT 1 FROM sqlite_master WHERE name = 'written'"):
            return None
        return {name for [name] in self.execute("SELECT name FROM written")}

    def claim_files(self, names: Iterable[str], *, before: Iterable[str], record: bool = True) -> None:
        """Raise InputError if a file that will be written beside this database is there and is not ours; if not, it is from now on.

        `before`: those that an earlier version would have written. Without `record` nothing is ours yet.
        """
        known = self.written()
        names, ours = {*names}, {*before} if known is None else known
        refuse_foreign_files(self._file.parent, names, ours)
        if record:
            with self.transaction():
                self.execute(_WRITTEN)
                self.execute_many("INSERT OR IGNORE INTO written VALUES (?)", ([name] for name in sorted(names | ours)))

    def value(self, body: bytes | str, kind: type | tuple[type, ...] = object) -> Any:
        """The JSON value of a stored body, or of its text. Raises InputError for one that is not of this kind."""
        try:
            found = json.loads(zlib.decompress(body) if isinstance(body, bytes) else body)
        except (zlib.error, RecursionError, TypeError, ValueError) as error:
            raise self.damage(error) from error
        if not isinstance(found, kind):
            raise self.damage(f"it holds {found!r:.60}")
        return found

    def text(self, body: bytes) -> str:
        """The text of a stored body."""
        try:
            return zlib.decompress(body).decode("utf-8", "surrogatepass")
        except (zlib.error, TypeError, ValueError) as error:
            raise self.damage(error) from error

    @contextmanager
    def whole(self) -> Iterator[None]:
        """A block that takes values apart; what is missing in one, or of another kind, raises InputError."""
        try:
            yield
        except InputError:
            raise
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise self.damage(f"{type(error).__name__}: {error}") from error

    def damage(self, error: object) -> InputError:
        """The error to raise for a row that is not what it has to be."""
        return storage_error(sqlite3.DatabaseError(f"a row is malformed: {error}"), self._read_from)

    def damage_to_row(self, table: str, column: str, key: str, error: object) -> InputError:
        """The error to raise for a row without which all others are still of use."""
        literal = key.replace("'", "''")
        sql = f"DELETE FROM {table} WHERE {column} = '{literal}'"
        shown = f'"{sql}"' if re.fullmatch(r"[\w-]+", key, re.ASCII) else quote(sql)
        return InputError(
            f"{self._read_from}: the row {key!r:.80} of its table {table} is damaged ({error}); have it made anew by deleting it, with "
            f"sqlite3 {quote(str(self._read_from))} {shown}, or move the file away to start over"
        )

    @property
    def _read_from(self) -> Path:
        """The file that the bodies come from."""
        return next(reversed(self._attached.values()), self._file)

    def _errors(self) -> AbstractContextManager[None]:
        return _errors_of(self._read_from)


def _address(file: Path) -> str:
    """The address to read a file at. In a folder that takes no new files, one that nobody has open is read without locks."""
    address = file.absolute().as_uri()
    at_rest = not os.access(file.parent, os.W_OK) and not file.with_name(f"{file.name}-wal").exists()
    return f"{address}?immutable=1" if at_rest else address


@contextmanager
def _errors_of(file: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise storage_error(error, file) from error


class Contents:
    """One table of a database: JSON values under keys. `key` names its first column. Bodies lie in the order in which they were put."""

    def __init__(self, database: Database, table: str, key: str = "key") -> None:
        self._database = database
        self._table, self._key = table, key
        database.execute(f"CREATE TABLE IF NOT EXISTS {table} ({key} TEXT PRIMARY KEY, body BLOB NOT NULL)")

    def get(self, key: str) -> Any:
        """The value under a key, or None."""
        found = self._database.execute(f"SELECT body FROM {self._table} WHERE {self._key} = ?", (key,))
        return self._database.value(found[0][0]) if found else None

    def sound(self, key: str, fits: Callable[[object], bool]) -> Any:
        """The value under a key; None if there is none, or none that is whole and fits."""
        found = self._database.execute(f"SELECT body FROM {self._table} WHERE {self._key} = ?", (key,))
        with suppress(InputError):
            value = self._database.value(found[0][0]) if found else None
            return value if fits(value) else None
        return None

    def damage(self, key: str, error: object) -> InputError:
        """The error to raise for a value that is not what it has to be."""
        return self._database.damage_to_row(self._table, self._key, key, error)

    def has(self, key: str) -> bool:
        """Whether the key has a value."""
        return bool(self._database.execute(f"SELECT 1 FROM {self._table} WHERE {self._key} = ?", (key,)))

    def missing(self, keys: Iterable[str]) -> list[str]:
        """The keys without a value, each once, in order."""
        return [key for key in dict.fromkeys(keys) if not self.has(key)]

    def put(self, key: str, value: Any) -> None:
        """Store a value, unless its key already has one."""
        self._database.execute(f"INSERT OR IGNORE INTO {self._table} VALUES (?, ?)", (key, packed(value)))

    def replace(self, key: str, value: Any) -> None:
        """Store a value, replacing any under its key."""
        self._database.execute(f"INSERT OR REPLACE INTO {self._table} VALUES (?, ?)", (key, packed(value)))


def packed(value: Any) -> bytes:
    """The body that stores a JSON value."""
    return packed_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def packed_text(text: str) -> bytes:
    """The body that stores a text."""
    return zlib.compress(text.encode("utf-8", "surrogatepass"), 6)


def storage_error(error: sqlite3.Error, file: Path) -> InputError:
    """The error to raise for a failure of a database file: what is wrong, and what to do."""
    text, folder = str(error), file.parent
    if "locked" in text:
        return Busy.of(folder)
    if "full" in text:
        return InputError(f"the disk of {folder} is full; free some space and run the same command again, nothing that was done is lost")
    headless = "unable to open" in text and os.access(file, os.R_OK) and os.access(folder, os.W_OK)
    if "not a database" in text or "malformed" in text or headless:
        return InputError(f"{file} is damaged ({text}); move it away to start over")
    return InputError(f"{file} cannot be used ({text})")
