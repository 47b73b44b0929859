"""DIR/work.sqlite: the input in order, the original traces, the LLM's selections and the decisions.

Work is keyed by content (a row's digest), never by position, and stored with the run's settings: a rerun does only what is missing,
and another budget is cut from the stored decisions. SQLite runs in WAL mode, so that after `kill -9` a decision is stored whole or
not at all.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from asap.errors import InputError, RowError
from asap.prune.coarse.selection import Selection
from asap.prune.decision import Decision, decision_from_row
from asap.sample import Sample, tested_code_in
from asap.store.content import Contents, Database, packed

FILE = "work.sqlite"
_CUT_SETTINGS = ("budget", "ratio", "coarse_only", "backfill")

_PAGE = 64
_UNSELECTED = "i.digest IS NOT NULL AND d.digest IS NULL AND NOT EXISTS (SELECT 1 FROM selections WHERE digest = i.digest)"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS decisions (digest TEXT PRIMARY KEY, failed INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seconds (digest TEXT PRIMARY KEY, seconds REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS input (
    position INTEGER PRIMARY KEY, source TEXT NOT NULL, line INTEGER NOT NULL, id TEXT, renamed INTEGER NOT NULL,
    digest TEXT, reason TEXT, detail TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS input_ids ON input (id) WHERE digest IS NOT NULL;
"""


class Entry(NamedTuple):
    """The final state of an input row: a sample with its decision, or its error."""

    source: str
    line: int
    id: str | None
    sample: Sample | None
    decision: Decision | None
    error: RowError | None


class Missing(NamedTuple):
    """The work to do: distinct usable rows, how many have no decision yet, and the stored bytes of those."""

    rows: int
    rows_missing: int
    bytes_missing: int


class Waiting(NamedTuple):
    """A sample to work on, its digest, and its stored bytes."""

    digest: str
    sample: Sample
    size: int


def decision_body(decision: Decision | RowError) -> bytes:
    """The body that the store keeps of a decision, or of the error that a row failed with."""
    return packed({"reason": decision.reason, "detail": decision.detail} if isinstance(decision, RowError) else decision.as_row())


class Store:
    """The work in one output folder, from `Store.open`; only one process can hold it at a time."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._db = database
        self._samples = Contents(database, "samples", "digest")
        self._selections = Contents(database, "selections", "digest")
        self._copies: dict[str, int] = {}  # ids that occurred more than once, and the last number appended
        self.transaction = database.transaction
        self.folder = folder

    @classmethod
    @contextmanager
    def open(cls, folder: Path, *, create: bool = True) -> Iterator["Store"]:
        """The store of a folder, closed at the end."""
        if not create and not (folder / FILE).is_file():
            raise InputError(f"{folder} holds no {FILE}, so it is not an output folder of asap prune (or the file was left behind)")
        with Database.open(folder / FILE, _SCHEMA, synchronous="NORMAL") as database:
            yield cls(database, folder)

    def fact(self, name: str) -> Any:
        """A stored JSON value, or None."""
        found = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,))
        return self._db.value(found[0][0]) if found else None

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
            self.set_fact("settings", settings)
        stored: dict[str, Any] = self.fact("settings") or {}
        ignored = {name: _as_json(value) for name, value in (defaults or {}).items()}
        unused = {name for name in stored if name not in settings and stored[name] in (ignored.get(name), None, False)}
        names = sorted({*settings, *stored} - unused)
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
        """Forget the order of the input, to read it again, but keep the work. Failed rows will be retried."""
        self._copies.clear()
        self._db.execute("DELETE FROM input")
        self._db.execute("DELETE FROM decisions WHERE failed")

    def add_sample(self, position: int, source: str, line: int, sample: Sample) -> str:
        """Store a usable row at its position and return its id; a duplicate id gets `#2`, `#3`, … appended."""
        digest, copy = sample.digest(), self._copies.get(sample.id, 1)
        row_id = sample.id if copy == 1 else f"{sample.id}#{copy}"
        while self._db.execute("SELECT 1 FROM input WHERE id = ? AND digest IS NOT NULL", (row_id,)):
            copy += 1
            row_id = f"{sample.id}#{copy}"
            self._copies[sample.id] = copy
        content = {"question": sample.question, "cot": sample.cot, "answer": sample.answer, "system": sample.system}
        meta = {} if sample.tested_code is None else {"tested_code": sample.tested_code}
        self._samples.put(digest, {**content, "meta": meta} if meta else content)
        self._db.execute("INSERT INTO input VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)", (position, source, line, row_id, copy > 1, digest))
        return row_id

    def add_rejected(self, position: int, source: str, line: int, error: RowError) -> None:
        """Store an unusable row at its position."""
        self._db.execute(
            "INSERT INTO input VALUES (?, ?, ?, ?, FALSE, NULL, ?, ?)", (position, source, line, error.row_id, error.reason, error.detail)
        )

    def is_untouched(self) -> bool:
        """Whether the folder has no decisions yet."""
        return not self._db.execute("SELECT 1 FROM decisions LIMIT 1")

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
            distinct = {digest: Waiting(digest, self._sample(row_id, body), len(body)) for _, row_id, digest, body in reversed(rows)}
            yield list(reversed(distinct.values()))

    def select(self, sample: Sample, selection: Selection) -> None:
        """Record the selection of stage 1's LLM for a sample."""
        self._selections.put(sample.digest(), selection._asdict())

    def selection(self, digest: str) -> Selection | None:
        """The selection of stage 1's LLM for the sample of a digest; None if it was not asked."""
        found = self._selections.get(digest)
        return None if found is None else Selection(**found)

    def decide(self, digest: str, failed: bool, body: bytes, seconds: float | None = None) -> None:
        """Record the decision about the sample of a digest (`decision_body`), or that it failed, and how long it took.

        The seconds affect nothing and appear in no other file.
        """
        self._db.execute("INSERT OR REPLACE INTO decisions VALUES (?, ?, ?)", (digest, int(failed), body))
        if seconds is not None:
            self._db.execute("INSERT OR REPLACE INTO seconds VALUES (?, ?)", (digest, seconds))

    def seconds(self) -> dict[str, float]:
        """The seconds that each decision took, by row id; empty for a cut of another run."""
        query = "SELECT i.id, t.seconds FROM input i JOIN seconds t USING (digest)"
        return dict(self._db.rows(query))

    def entries(self) -> Iterator[Entry]:
        """Every input row in order. Raises InputError for an undecided row."""
        rows = self._db.rows(
            "SELECT i.source, i.line, i.id, i.digest, i.reason, i.detail, s.body, d.failed, d.body FROM input i "
            "LEFT JOIN samples s USING (digest) LEFT JOIN decisions d USING (digest) ORDER BY i.position"
        )
        for source, line, row_id, digest, reason, detail, sample_body, failed, body in rows:
            if digest is None:
                yield Entry(source, line, row_id, None, None, RowError(reason, detail, row_id))
                continue
            if body is None:
                raise InputError(f"{self.folder} holds an unfinished run (row {row_id!r} is not decided); run the same asap prune again")
            sample, fields = self._sample(row_id, sample_body), self._db.value(body)
            if failed:
                yield Entry(source, line, row_id, sample, None, RowError(fields["reason"], fields["detail"], row_id))
            else:
                yield Entry(source, line, row_id, sample, self._read({**fields, "id": row_id}), None)

    def decision(self, sample: Sample) -> Decision | None:
        """The decision about a sample; None if undecided or failed."""
        found = self._db.execute("SELECT body FROM decisions WHERE digest = ? AND NOT failed", (sample.digest(),))
        return self._read({**self._db.value(found[0][0]), "id": sample.id}) if found else None

    def _sample(self, row_id: str, body: bytes) -> Sample:
        content = self._db.value(body)
        return Sample(row_id, tested_code=tested_code_in(content.pop("meta", {})), **content)

    def _read(self, row: Mapping[str, Any]) -> Decision:
        try:
            return decision_from_row(row)
        except (KeyError, TypeError) as error:
            what = f"its decisions differ in {error}"
            raise InputError(
                f"{self.folder} was written by another version of asap ({what}); run asap prune again into another --out"
            ) from error

    def rows(self) -> Iterator[tuple[Sample | None, str | None]]:
        """Every input row in order, as read: the sample, or the reason why it is unusable."""
        query = "SELECT i.id, i.reason, s.body FROM input i LEFT JOIN samples s USING (digest) ORDER BY i.position"
        for row_id, reason, body in self._db.rows(query):
            yield (None, reason) if body is None else (self._sample(row_id, body), None)

    def renamed(self) -> int:
        """The number of rows whose id was already in use."""
        query = "SELECT COUNT(*) FROM input WHERE digest IS NOT NULL AND renamed"
        return int(self._db.execute(query)[0][0])

    def copy_to(self, other: "Store", facts: Mapping[str, Any]) -> None:
        """Make another store a copy of this one, with some facts replaced, all at once or not at all."""
        with other.transaction():
            for table in ("facts", "samples", "decisions", "input"):
                self._db.copy(table, other._db)
            for name, value in facts.items():
                other.set_fact(name, value)


def _as_json(value: object) -> object:
    """A setting as JSON brings it back."""
    return list(value) if isinstance(value, tuple) else value
