"""The input of a run while it is read, beside the earlier input, which stays until the new one is complete.

Rows are written in pieces, which a kill may end anywhere: samples are stored under their digests, where a half-read input does no harm.
Ids get their numbers at the end, in the order of the positions, so that rows may be added in any order.
A row's other columns are stored under a key of their content, like samples.

A conversation is stored once. Each turn that thinks has a position of its own, and a line in `turns` that says whose it is.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from asap.conversation import TurnOf, turn_id
from asap.dataset.columns import OtherColumns
from asap.digest import content_digest
from asap.errors import RowError
from asap.sample import Sample, Unthinking
from asap.store.content import Contents, Database, packed, packed_text
from asap.store.samples import Samples

INPUT_SCHEMA = """
CREATE TABLE IF NOT EXISTS input (
    position INTEGER PRIMARY KEY, source TEXT NOT NULL, line INTEGER NOT NULL, id TEXT, renamed INTEGER NOT NULL,
    digest TEXT, reason TEXT, detail TEXT, columns TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS input_ids ON input (id) WHERE digest IS NOT NULL;
CREATE TABLE IF NOT EXISTS incoming (
    position INTEGER PRIMARY KEY, source TEXT NOT NULL, line INTEGER NOT NULL, id TEXT, digest TEXT, reason TEXT, detail TEXT,
    columns TEXT);
CREATE TABLE IF NOT EXISTS turns (position INTEGER PRIMARY KEY, conversation TEXT NOT NULL, number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS incoming_turns (position INTEGER PRIMARY KEY, conversation TEXT NOT NULL, number INTEGER NOT NULL);
"""
_IS_TAKEN = "SELECT 1 FROM input WHERE id = ? AND digest IS NOT NULL UNION ALL SELECT 1 FROM taken WHERE id = ? LIMIT 1"
_PUT_IN = "INSERT OR IGNORE INTO input VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_WITH_TURNS = "LEFT JOIN turns t USING (position) ORDER BY position"
_PIECE_ROWS = 1000
_PIECE_BYTES = 4_000_000


class InputRow(NamedTuple):
    """A row of the input under the id that it has in its source: the digest of its sample, or the reason why it has none.

    `columns` is the key of its other columns, which two rows with equal samples may have different, or of a whole row that passes
    through. A turn has the id of its
    conversation here, the digest of that, and the number of its message.
    """

    position: int
    source: str
    line: int
    id: str | None
    digest: str | None
    reason: str | None = None
    detail: str | None = None
    columns: str | None = None
    conversation: str | None = None
    number: int | None = None


class Incoming:
    """A new input, from `Store.new_input`."""

    def __init__(self, database: Database, samples: Samples, columns: Contents) -> None:
        self._db = database
        self._samples, self._columns = samples, columns
        self._rows = list[InputRow]()
        self._bodies, self._others, self._whole = dict[str, bytes](), dict[str, bytes](), dict[str, bytes]()
        self._size = 0
        self.source: Any = None
        """What is known about the source, stored with the input."""
        database.execute("DELETE FROM incoming")
        database.execute("DELETE FROM incoming_turns")

    def add_sample(self, position: int, source: str, line: int, sample: Sample, digest: str | None = None) -> None:
        """Add a usable row, and its sample unless the store has it. `digest` is the sample's, if known."""
        digest = digest or sample.digest()
        self._keep(self._samples.texts, self._bodies, digest, _content(sample))
        columns = columns_key(sample.meta) if sample.meta else None
        if columns:
            self._keep(self._columns, self._others, columns, sample.meta)
        row = InputRow(position, source, line, sample.id, digest, columns=columns)
        self.add(self._of_turn(row, sample.turn) if sample.turn else row)

    def _keep(self, contents: Contents, new: dict[str, bytes], key: str, value: Any) -> None:
        if key not in new and not contents.has(key):
            new[key] = packed_text(value.text) if isinstance(value, OtherColumns) else packed(value)
            self._size += len(new[key])

    def add_rejected(self, position: int, source: str, line: int, error: RowError, turn: TurnOf | None = None) -> None:
        """Add an unusable row, or an unusable turn of a conversation, or a row that passes through."""
        passed = error.stored() if isinstance(error, Unthinking) else None
        columns = columns_key(passed) if passed else None
        if passed and columns:
            self._keep(self._columns, self._others, columns, passed)
        row = InputRow(position, source, line, error.row_id, None, error.reason, error.detail, columns)
        self.add(self._of_turn(row, turn) if turn else row)

    def _of_turn(self, row: InputRow, turn: TurnOf) -> InputRow:
        """A row as a turn of its conversation, which is stored unless the store has it."""
        conversation = turn.conversation
        if conversation.digest not in self._whole:
            self._keep(self._samples.conversations, self._whole, conversation.digest, conversation.stored())
        return row._replace(id=conversation.id, conversation=conversation.digest, number=turn.number)

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
            self._db.execute_many("INSERT OR IGNORE INTO conversations VALUES (?, ?)", self._whole.items())
            self._db.execute_many("INSERT OR REPLACE INTO incoming VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (row[:8] for row in self._rows))
            turns = ((row.position, row.conversation, row.number) for row in self._rows if row.conversation)
            self._db.execute_many("INSERT OR REPLACE INTO incoming_turns VALUES (?, ?, ?)", turns)
        self._rows, self._bodies, self._others, self._whole, self._size = [], {}, {}, {}, 0

    def replace_input(self) -> None:
        """Put the rows in place of the earlier input; a duplicate id gets `#2`, `#3`, … appended. Belongs inside a transaction.

        The turns of a conversation share its number: `A#2@1`, `A#2@3`.
        """
        self._db.execute("DELETE FROM input")
        self._db.execute("DELETE FROM turns")
        self._db.execute("INSERT INTO turns SELECT * FROM incoming_turns")
        self._db.execute("CREATE TEMP TABLE taken (id TEXT PRIMARY KEY)")  # by conversations
        copies: dict[str, int] = {}  # ids that occurred more than once, and the last number appended
        rows = self._db.rows(f"SELECT i.*, t.conversation, t.number FROM incoming i {_WITH_TURNS}")
        for group in _in_groups(map(InputRow._make, rows)):
            row_id = group[0].id or ""
            copy = copies.get(row_id, 1) if group[0].digest or group[0].conversation or group[0].columns else 1
            while not self._insert(group, copy):
                copy += 1
                copies[row_id] = copy
        self._db.execute("DELETE FROM incoming")
        self._db.execute("DELETE FROM incoming_turns")
        self._db.execute("DROP TABLE taken")
        self._db.execute("DELETE FROM columns WHERE digest NOT IN (SELECT columns FROM input WHERE columns IS NOT NULL)")

    def _insert(self, group: Sequence[InputRow], copy: int) -> bool:
        """Whether a row or the turns of a conversation could be put in, which they cannot if their numbered id is taken."""
        first = group[0]
        name = first.id if copy == 1 else f"{first.id}#{copy}"
        if first.conversation is None and first.digest is None and first.columns:  # it passes through
            if self._db.execute(_IS_TAKEN, (name, name)):
                return False
            self._db.execute("INSERT INTO taken VALUES (?)", (name,))
            self._db.execute(_PUT_IN, _placed(first, name, copy))
            return True
        if first.conversation is None:
            if first.digest and self._db.execute("SELECT 1 FROM taken WHERE id = ?", (name,)):
                return False
            return bool(self._db.execute(f"{_PUT_IN} RETURNING 1", _placed(first, name, copy)))
        ids = [turn_id(name or "", row.number or 0) for row in group]
        if any(self._db.execute(_IS_TAKEN, (one, one)) for one in (name, *ids)):
            return False
        self._db.execute("INSERT INTO taken VALUES (?)", (name,))
        self._db.execute_many(_PUT_IN, [_placed(row, row_id, copy) for row, row_id in zip(group, ids, strict=True)])
        return True


def _placed(row: InputRow, row_id: str | None, copy: int) -> tuple[Any, ...]:
    """The values of a row in the table `input`."""
    return (row.position, row.source, row.line, row_id, copy > 1, row.digest, row.reason, row.detail, row.columns)


def _in_groups(rows: Iterable[InputRow]) -> Iterator[list[InputRow]]:
    """Each row by itself, but the turns of one conversation together."""
    group = list[InputRow]()
    for row in rows:
        if group and not _go_together(group[-1], row):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _go_together(one: InputRow, other: InputRow) -> bool:
    """Whether two rows, one after the other, are turns of the same conversation."""
    same = one.conversation is not None and one.conversation == other.conversation
    return same and (one.source, one.line) == (other.source, other.line) and (one.number or 0) < (other.number or 0)


def original_rows(database: Database) -> Iterator[InputRow]:
    """The rows of a database's input in order, under the ids that they have in their source."""
    rows = database.rows(f"SELECT i.*, t.conversation, t.number FROM input i {_WITH_TURNS}")
    for position, source, line, row_id, renamed, *rest in rows:
        if rest[-1] is not None:
            row_id = row_id.removesuffix(turn_id("", rest[-1]))
        yield InputRow(position, source, line, row_id.rpartition("#")[0] if renamed else row_id, *rest)


def columns_key(columns: Mapping[str, Any]) -> str:
    """The key of a row's other columns."""
    return content_digest(columns.text if isinstance(columns, OtherColumns) else json.dumps(columns, ensure_ascii=False))


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
    if sample.turn is not None:
        return {"turn": [sample.turn.conversation.digest, sample.turn.number]}
    content = sample.stored()
    if sample.logprobs is not None:
        content["logprobs"] = sample.logprobs.stored()
    return content if sample.tested_code is None else {**content, "meta": {"tested_code": sample.tested_code}}
