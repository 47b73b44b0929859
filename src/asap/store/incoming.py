"""The input of a run while it is read, beside the earlier input, which stays until the new one is complete.

Rows are written in pieces, which a kill may end anywhere: samples are stored under their digests, where a half-read input does no harm.
Ids get their numbers at the end, in the order of the positions, so that rows may be added in any order.
A row's other columns are stored under a key of their content, like samples.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from asap.digest import content_digest
from asap.errors import RowError
from asap.sample import Sample
from asap.store.content import Contents, Database, packed

SCHEMA = """
CREATE TABLE IF NOT EXISTS input (
    position INTEGER PRIMARY KEY, source TEXT NOT NULL, line INTEGER NOT NULL, id TEXT, renamed INTEGER NOT NULL,
    digest TEXT, reason TEXT, detail TEXT, columns TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS input_ids ON input (id) WHERE digest IS NOT NULL;
CREATE TABLE IF NOT EXISTS incoming (
    position INTEGER PRIMARY KEY, source TEXT NOT NULL, line INTEGER NOT NULL, id TEXT, digest TEXT, reason TEXT, detail TEXT,
    columns TEXT);
"""
_PIECE_ROWS = 1000
_PIECE_BYTES = 4_000_000


class InputRow(NamedTuple):
    """A row of the input under the id that it has in its source: the digest of its sample, or the reason why it has none.

    `columns` is the key of its other columns, which two rows with equal samples may have different.
    """

    position: int
    source: str
    line: int
    id: str | None
    digest: str | None
    reason: str | None = None
    detail: str | None = None
    columns: str | None = None


class Incoming:
    """A new input, from `Store.new_input`."""

    def __init__(self, database: Database, samples: Contents, columns: Contents) -> None:
        self._db = database
        self._samples, self._columns = samples, columns
        self._rows = list[InputRow]()
        self._bodies, self._others = dict[str, bytes](), dict[str, bytes]()
        self._size = 0
        self.source: Any = None
        """What is known about the source, stored with the input."""
        database.execute("DELETE FROM incoming")

    def add_sample(self, position: int, source: str, line: int, sample: Sample, digest: str | None = None) -> None:
        """Add a usable row, and its sample unless the store has it. `digest` is the sample's, if known."""
        digest = digest or sample.digest()
        self._keep(self._samples, self._bodies, digest, _content(sample))
        columns = columns_key(sample.meta) if sample.meta else None
        if columns:
            self._keep(self._columns, self._others, columns, sample.meta)
        self.add(InputRow(position, source, line, sample.id, digest, columns=columns))

    def _keep(self, contents: Contents, new: dict[str, bytes], key: str, value: Any) -> None:
        if key not in new and not contents.has(key):
            new[key] = packed(value)
            self._size += len(new[key])

    def add_rejected(self, position: int, source: str, line: int, error: RowError) -> None:
        """Add an unusable row."""
        self.add(InputRow(position, source, line, error.row_id, None, error.reason, error.detail))

    def add(self, row: InputRow) -> None:
        """Add a row whose sample the store has, or an unusable one."""
        self._rows.append(row)
        if len(self._rows) >= _PIECE_ROWS or self._size >= _PIECE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the rows that were added."""
        with self._db.transaction():
            self._db.execute_many("INSERT OR IGNORE INTO samples VALUES (?, ?)", self._bodies.items())
            self._db.execute_many("INSERT OR IGNORE INTO columns VALUES (?, ?)", self._others.items())
            self._db.execute_many("INSERT OR REPLACE INTO incoming VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self._rows)
        self._rows, self._bodies, self._others, self._size = [], {}, {}, 0

    def replace_input(self) -> None:
        """Put the rows in place of the earlier input; a duplicate id gets `#2`, `#3`, … appended. Belongs inside a transaction."""
        self._db.execute("DELETE FROM input")
        copies: dict[str, int] = {}  # ids that occurred more than once, and the last number appended
        for row in map(InputRow._make, self._db.rows("SELECT * FROM incoming ORDER BY position")):
            copy = copies.get(row.id or "", 1) if row.digest else 1
            while not self._insert(row, copy):
                copy += 1
                copies[row.id or ""] = copy
        self._db.execute("DELETE FROM incoming")
        self._db.execute("DELETE FROM columns WHERE digest NOT IN (SELECT columns FROM input WHERE columns IS NOT NULL)")

    def _insert(self, row: InputRow, copy: int) -> bool:
        """Whether the row could be put in, which it cannot if its numbered id is taken."""
        row_id = row.id if copy == 1 else f"{row.id}#{copy}"
        values = (row.position, row.source, row.line, row_id, copy > 1, row.digest, row.reason, row.detail, row.columns)
        return bool(self._db.execute("INSERT OR IGNORE INTO input VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING 1", values))


def original_rows(database: Database) -> Iterator[InputRow]:
    """The rows of a database's input in order, under the ids that they have in their source."""
    for position, source, line, row_id, renamed, *rest in database.rows("SELECT * FROM input ORDER BY position"):
        yield InputRow(position, source, line, row_id.rpartition("#")[0] if renamed else row_id, *rest)


def columns_key(columns: Mapping[str, Any]) -> str:
    """The key of a row's other columns."""
    return content_digest(json.dumps(columns, ensure_ascii=False))


def with_columns(database: Database, attached: str | None = None) -> None:
    """Let an input that version 0.1.0 wrote have columns: none. `attached` is the schema of a file that is only read."""

    def lacks_them(table: str) -> bool:
        return all(column[1] != "columns" for column in database.execute(f"PRAGMA {attached or 'main'}.table_info({table})"))

    if attached is None:
        for table in filter(lacks_them, ("input", "incoming")):
            database.execute(f"ALTER TABLE {table} ADD COLUMN columns TEXT")
    elif lacks_them("input"):
        views = {"input": f"SELECT *, NULL AS columns FROM {attached}.input", "columns": "SELECT '' AS digest, x'' AS body WHERE 0"}
        for view, rows in views.items():
            database.execute(f"DROP VIEW IF EXISTS temp.{view}")
            database.execute(f"CREATE TEMP VIEW {view} AS {rows}")


def _content(sample: Sample) -> dict[str, Any]:
    content = sample.stored()
    if sample.logprobs is not None:
        content["logprobs"] = sample.logprobs.stored()
    return content if sample.tested_code is None else {**content, "meta": {"tested_code": sample.tested_code}}
