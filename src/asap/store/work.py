"""DIR/work.sqlite: the input in order, the original traces, the rows' other columns, the LLM's selections and the decisions.

Work is keyed by content (a row's digest), never by position, and stored with the run's settings: a rerun does only what is missing,
and another budget is cut from the stored decisions. SQLite runs in WAL mode: after `kill -9` a decision is there whole or not at all.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from asap.errors import InputError, RowError
from asap.lm.fields import number_in
from asap.ownership import refuse_absent
from asap.prune.coarse.selection import Selection, checked_selection
from asap.prune.decision import Decision, decision_from_row
from asap.sample import Sample, unthinking_of
from asap.store.claim import refuse_other
from asap.store.content import Contents, Database
from asap.store.entry import Entry, Missing, Waiting
from asap.store.incoming import INPUT_SCHEMA, Incoming, original_rows, with_columns
from asap.store.origin import RUN_FACTS, TABLES, Origin
from asap.store.samples import Samples

FILE = "work.sqlite"

_PAGE = 64
_UNSELECTED = "i.digest IS NOT NULL AND d.digest IS NULL AND NOT EXISTS (SELECT 1 FROM selections WHERE digest = i.digest)"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS decisions (digest TEXT PRIMARY KEY, failed INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS seconds (digest TEXT PRIMARY KEY, seconds REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS decisions_failed ON decisions (failed) WHERE failed;
"""


class Store:
    """The work in one output folder, from `Store.open` or `Store.reading`."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._db = database
        self._samples = Samples(database)
        self._columns = Contents(database, "columns", "digest")
        self._selections = Contents(database, "selections", "digest")
        self.transaction = database.transaction
        self.written, self.claim_files = database.written, database.claim_files
        self.folder = folder

    @classmethod
    @contextmanager
    def open(cls, folder: Path, *, create: bool = True, follow: bool = True) -> Iterator["Store"]:
        """The store of a folder, closed at the end; only one process can hold it. `follow`: read a cut from the run it refers to."""
        if not create:
            _check_there(folder)
        with Database.open(folder / FILE, _SCHEMA + INPUT_SCHEMA, synchronous="NORMAL") as database:
            store = cls(database, folder)
            with_columns(database)
            if follow:
                store.follow()
            yield store

    @classmethod
    @contextmanager
    def reading(cls, folder: Path) -> Iterator["Store"]:
        """The store of a folder, to be read only, which several processes may do at once, but not while one has it open."""
        _check_there(folder)
        with Database.open(None, INPUT_SCHEMA) as database:
            with_columns(database, database.attach(folder / FILE, ("facts", *TABLES, "selections", "seconds")))
            store = cls(database, folder)
            store.follow()
            yield store

    def follow(self) -> None:
        """Read the rows and decisions of the run that this folder refers to, if it is a cut."""
        if self._origin:
            with_columns(self._db, self._origin.attach(self._db, self.folder, FILE))

    def refer_to(self, other: "Store") -> None:
        """Make this store a cut of another: its facts, and a reference to where its rows and decisions are."""
        facts = {name: other.fact(name) for [name] in other._db.execute("SELECT name FROM facts")}
        direct = Origin.to(other.root, facts, self.folder)
        origin = other._origin._replace(folder=direct.folder) if other._origin else direct
        with self.transaction():
            for name, value in {**facts, "settings": self.fact("settings"), "origin": origin}.items():
                self.set_fact(name, value)

    def own(self) -> None:
        """Copy what this store refers to, if it is a cut, so that it needs no other folder and can go on."""
        if self._origin is None:
            return
        self._db.detach()
        with Store.reading(self.root) as other:
            for table in ("samples", "conversations", "columns", "decisions"):
                other._db.copy(table, self._db)
            with self.transaction():
                self._db.execute("DELETE FROM input")
                self._db.execute("DELETE FROM turns")
                self._db.execute_many("INSERT INTO input VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", other._db.rows("SELECT * FROM input"))
                self._db.execute_many("INSERT INTO turns VALUES (?, ?, ?)", other._db.rows("SELECT * FROM turns"))
                self._db.execute("DELETE FROM facts WHERE name = 'origin'")

    @property
    def root(self) -> Path:
        """The folder with the rows and decisions: this one, unless it is a cut of another."""
        return self._origin.root(self.folder) if self._origin else self.folder

    @property
    def _origin(self) -> Origin | None:
        found = self.fact("origin")
        with self._db.whole():
            return None if found is None else Origin(*found)

    def fact(self, name: str) -> Any:
        """A stored JSON value, or None."""
        found = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,))
        return self._db.value(found[0][0], RUN_FACTS.get(name, object)) if found else None

    def set_fact(self, name: str, value: Any) -> None:
        """Store a JSON value under a name."""
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value, sort_keys=True)))

    def claim(self, settings: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Mark the folder as this run's and return the stored settings. Raises InputError for another run's folder, naming what differs.

        Any run may claim a folder without decisions, for example after a typo in the source. `defaults` are those of settings that a
        version wrote for all runs, whether they had them or not: a folder may have these beside `settings`.
        """
        if self.is_untouched():
            if self.fact("settings") != settings:
                self._db.execute("DELETE FROM selections")
                self._db.execute("DELETE FROM facts WHERE name = 'source'")  # which columns or shard were read is among the settings
            self.set_fact("settings", settings)
        stored: dict[str, Any] = self.fact("settings") or {}
        refuse_other(self.folder, stored, settings, defaults or {})
        return stored

    @contextmanager
    def new_input(self) -> Iterator[Incoming]:
        """Rows that replace the input when the block ends without an error: until then, and after a kill, the earlier input stays."""
        incoming = Incoming(self._db, self._samples, self._columns)
        yield incoming
        incoming.flush()
        with self.transaction():
            incoming.replace_input()
            self.set_fact("source", incoming.source)

    def retry_failed(self) -> None:
        """Forget the rows that failed, so that they are tried again."""
        self._db.execute("DELETE FROM decisions WHERE failed")

    def is_untouched(self) -> bool:
        """Whether the folder has no decisions yet."""
        return self._origin is None and not self._db.execute("SELECT 1 FROM decisions LIMIT 1")

    def missing(self) -> Missing:
        """The work to do; equal rows count once."""
        query = (
            "SELECT COUNT(*), TOTAL(d.digest IS NULL), TOTAL(LENGTH(s.body) * (d.digest IS NULL)) "
            "FROM (SELECT DISTINCT digest FROM input WHERE digest IS NOT NULL) "
            "JOIN samples s USING (digest) LEFT JOIN decisions d USING (digest)"
        )
        [(rows, rows_missing, bytes_missing)] = self._db.execute(query)
        return Missing(rows, int(rows_missing), int(bytes_missing))

    def batches(self, size: int) -> Iterator[list[Waiting]]:
        """The samples without a decision, in input order, at most `size` at a time; equal rows come up until one is decided."""
        return self._pages("d.digest IS NULL", size)

    def unselected(self) -> Iterator[Sample]:
        """The distinct samples with neither a decision nor a selection, in input order."""
        seen = set[str]()
        for page in self._pages(_UNSELECTED, _PAGE):
            for digest, sample, _ in page:
                if digest not in seen:
                    seen.add(digest)
                    yield sample

    def count_unselected(self) -> int:
        """The number of samples that `unselected` yields."""
        query = f"SELECT COUNT(DISTINCT i.digest) FROM input i LEFT JOIN decisions d USING (digest) WHERE {_UNSELECTED}"
        return int(self._db.execute(query)[0][0])

    def _pages(self, condition: str, size: int) -> Iterator[list[Waiting]]:
        """Pages of the samples that meet a condition at the time their page is read."""
        position = -1
        query = (
            "SELECT i.position, i.id, i.digest, s.body FROM input i JOIN samples s USING (digest) LEFT JOIN decisions d USING (digest) "
            f"WHERE {condition} AND i.position > ? ORDER BY i.position LIMIT ?"
        )
        while rows := self._db.execute(query, (position, size)):
            position = rows[-1][0]
            distinct = {digest: (row_id, body) for _, row_id, digest, body in reversed(rows)}
            yield [Waiting(digest, self._samples.sample(*row), len(row[1])) for digest, row in reversed(distinct.items())]

    def select(self, sample: Sample, selection: Selection) -> None:
        """Record the selection of stage 1's LLM for a sample."""
        self._selections.put(sample.digest(), selection._asdict())

    def selection(self, digest: str) -> Selection | None:
        """The selection of stage 1's LLM for the sample of a digest; None if it was not asked."""
        found = self._selections.get(digest)
        with self._db.whole():
            return None if found is None else checked_selection(**found)

    def decide(self, digest: str, failed: bool, body: bytes, seconds: float | None = None) -> None:
        """Record the decision about the sample of a digest (`decision_body`), or that it failed, and how long it took.

        The seconds affect nothing and appear in no other file.
        """
        self._db.execute("INSERT OR REPLACE INTO decisions VALUES (?, ?, ?)", (digest, int(failed), body))
        if seconds is not None:
            self._db.execute("INSERT OR REPLACE INTO seconds VALUES (?, ?)", (digest, seconds))

    def seconds_of(self, digest: str) -> float | None:
        """The seconds that the decision about a sample took; None if unknown, as in a cut of another run."""
        found = self._db.execute("SELECT seconds FROM seconds WHERE digest = ?", (digest,))
        return number_in(found[0][0]) if found else None

    def row_keys(self) -> Iterator[tuple[str, str]]:
        """Digest and id of every usable input row, sorted."""
        yield from self._db.rows("SELECT digest, id FROM input WHERE digest IS NOT NULL ORDER BY digest, id")

    def digest_of(self, row_id: str) -> str | None:
        """The digest of the usable row with an id."""
        found = self._db.execute("SELECT digest FROM input WHERE id = ? AND digest IS NOT NULL", (row_id,))
        return found[0][0] if found else None

    def sample(self, row_id: str) -> Sample | None:
        """The sample with an id."""
        tables = "input i JOIN samples s USING (digest) LEFT JOIN turns t USING (position)"
        query = f"SELECT s.body, t.conversation, t.number FROM {tables} WHERE i.id = ? AND i.digest IS NOT NULL"
        found = self._db.execute(query, (row_id,))
        return self._samples.sample(row_id, *found[0]) if found else None

    def entries(self) -> Iterator[Entry]:
        """Every input row in order. Raises InputError for an undecided row."""
        rows = self._db.rows(
            "SELECT i.source, i.line, i.id, i.digest, i.reason, i.detail, s.body, c.body, d.failed, d.body, t.conversation, t.number "
            "FROM input i LEFT JOIN samples s ON s.digest = i.digest LEFT JOIN columns c ON c.digest = i.columns "
            "LEFT JOIN decisions d ON d.digest = i.digest LEFT JOIN turns t ON t.position = i.position ORDER BY i.position"
        )
        for source, line, row_id, digest, reason, detail, sample_body, columns, failed, body, *place in rows:
            turn = self._samples.turn(row_id, *place) if place[0] else None
            if digest is None:
                passed = unthinking_of(row_id, self._db.value(columns)) if columns else None
                yield Entry(source, line, row_id, None, None, RowError(reason, detail, row_id), turn, passed)
                continue
            if body is None:
                raise InputError(f"{self.folder} holds an unfinished run (row {row_id!r} is not decided); run the same asap prune again")
            sample, fields = Sample.of_turn(turn) if turn else self._samples.sample(row_id, sample_body), self._db.value(body, dict)
            sample = replace(sample, meta=self._db.value(columns, dict)) if columns else sample
            if failed:
                yield Entry(source, line, row_id, sample, None, RowError(fields.get("reason", ""), fields.get("detail", ""), row_id), turn)
            else:
                yield Entry(source, line, row_id, sample, self._read({**fields, "id": row_id}), None, turn)

    def decision(self, sample: Sample) -> Decision | None:
        """The decision about a sample; None if undecided or failed."""
        found = self._db.execute("SELECT body FROM decisions WHERE digest = ? AND NOT failed", (sample.digest(),))
        return self._read({**self._db.value(found[0][0], dict), "id": sample.id}) if found else None

    def is_decided(self, digest: str) -> bool:
        """Whether a sample has a decision and did not fail."""
        return bool(self._db.execute("SELECT 1 FROM decisions WHERE digest = ? AND NOT failed", (digest,)))

    def _read(self, row: Mapping[str, Any]) -> Decision:
        try:
            return decision_from_row(row)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            what = f"its decisions differ in {error}"
            raise InputError(
                f"{self.folder} was written by another version of asap ({what}); run asap prune again into another --out"
            ) from error

    def count_rows(self) -> int:
        """The number of all input rows."""
        return int(self._db.execute("SELECT COUNT(*) FROM input")[0][0])

    def renamed(self) -> int:
        """The number of rows whose id was already in use."""
        return int(self._db.execute("SELECT COUNT(*) FROM input WHERE (digest IS NOT NULL OR columns IS NOT NULL) AND renamed")[0][0])

    def has_conversations(self) -> bool:
        """Whether some rows are turns of conversations."""
        return bool(self._db.execute("SELECT 1 FROM turns LIMIT 1"))

    def take(self, other: "Store", incoming: Incoming) -> None:
        """Take over another store's content, and its input for the new one of this store."""
        for table in ("samples", "conversations", "columns", "selections", "decisions", "seconds"):
            other._db.copy(table, self._db)
        for row in original_rows(other._db):
            incoming.add(row)


def _check_there(folder: Path) -> None:
    refuse_absent(folder)
    if not (folder / FILE).is_file():
        raise InputError(f"{folder} holds no {FILE}, so it is not an output folder of asap prune (or the file was left behind)")
