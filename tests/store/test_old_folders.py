"""Files that asap 0.1.0 wrote, made here from its own schema and its own way to pack values, open and go on."""

import json
import sqlite3
import zlib
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from asap.benchmarks.problem import Calls, Problem
from asap.compare.support import SupportScorer
from asap.errors import InputError
from asap.evaluate.ledger import Ledger
from asap.evaluate.reference import LimitSettings, References, _key
from asap.evaluate.stored import is_written
from asap.lm.generate import Generation
from asap.lm.open_batches import open_batches
from asap.lm.reply_cache import ReplyCache, Usage
from asap.lm.specs import load_scorer
from asap.prune.decision.step_cut import steps_from_columns
from asap.prune.settings import OF_METHODS
from asap.recut import recut
from asap.sample import Sample
from asap.store.work import Store
from run_fixtures import count_decisions, model_folder, prune, read_rows, row, same_output, write_rows

WORK = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE samples (digest TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE decisions (digest TEXT PRIMARY KEY, failed INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE seconds (digest TEXT PRIMARY KEY, seconds REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE input (
    position INTEGER PRIMARY KEY, source TEXT NOT NULL, line INTEGER NOT NULL, id TEXT, renamed INTEGER NOT NULL,
    digest TEXT, reason TEXT, detail TEXT);
CREATE UNIQUE INDEX input_ids ON input (id) WHERE digest IS NOT NULL;
"""
REPLIES = """
CREATE TABLE replies (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, body BLOB NOT NULL, finish_reason TEXT NOT NULL, prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, counted_here INTEGER NOT NULL, brought INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE batches (id TEXT PRIMARY KEY, keys BLOB NOT NULL) WITHOUT ROWID;
"""
EVALUATION = """
CREATE TABLE done (key TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE sessions (id INTEGER PRIMARY KEY, wall_s REAL NOT NULL, generated INTEGER NOT NULL);
"""
JUDGE = "CREATE TABLE verdicts (key TEXT PRIMARY KEY, support REAL NOT NULL) WITHOUT ROWID;"
REFERENCES = "CREATE TABLE runs (key TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;"


def write(file: Path, schema: str, rows: Iterable[tuple[str, tuple[Any, ...]]], *, wal: bool = True) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(("PRAGMA journal_mode=WAL;" if wal else "") + schema)
        for table, values in rows:
            connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
        connection.commit()
    return file.parent


def body(value: Any, **how: Any) -> bytes:
    return zlib.compress(json.dumps(value, **how).encode("utf-8"), 6)


def work_of(folder: Path) -> list[tuple[str, tuple[Any, ...]]]:
    """The rows of a finished run, packed as they were packed then."""
    found = list[tuple[str, tuple[Any, ...]]]()
    with closing(sqlite3.connect(folder / "work.sqlite")) as connection:
        for table in ("facts", "samples", "decisions", "seconds", "input"):
            rows = connection.execute(f"SELECT * FROM {table}")
            found += [(table, tuple(map(as_then, values[:8]))) for values in rows]  # its input had no other columns
        [(known,)] = connection.execute("SELECT value FROM facts WHERE name = 'source'")
    then = json.dumps({name: value for name, value in json.loads(known).items() if name != "columns"})
    return [("facts", ("source", then)) if values[0] == "source" else (table, values) for table, values in found]


def as_then(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    content = json.loads(zlib.decompress(value))
    if "steps" in content:  # it wrote an object for each step
        content["steps"] = [asdict(step) for step in steps_from_columns(content["steps"])]
    return body(content, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize("missing", [0, 3])
def test_a_run_goes_on(missing: int, tmp_path: Path) -> None:
    rows = [{**row(number), "answer": f"Größe {number} 😀", "tested_code": f"x = {number}"} for number in range(6)]
    source = write_rows(tmp_path / "rows.jsonl", [*rows, "no JSON"])
    fresh = prune(source, tmp_path / "fresh")
    done = work_of(fresh)
    digests = [values[0] for table, values in done if table == "decisions"][:missing]
    left = [(table, values) for table, values in done if table not in ("decisions", "seconds") or values[0] not in digests]
    old = write(tmp_path / "old/work.sqlite", WORK, left)
    with Store.open(old, create=False) as store:
        assert store.missing()[:2] == (6, missing)
        kept = [store.sample(row_id) for _, row_id in store.row_keys()]
        assert {sample.tested_code for sample in kept if sample} == {f"x = {number}" for number in range(6)}
    same_output(fresh, prune(source, old))
    assert count_decisions(old) == 6


def test_a_cut_of_a_run_has_no_other_columns(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{**row(number), "level": number} for number in range(3)])
    old = write(tmp_path / "old/work.sqlite", WORK, work_of(prune(source, tmp_path / "fresh")))
    for name, copied in (("cut", False), ("copy", True)):
        recut(old, tmp_path / name, ratio=0.5, copy=copied)
        assert [set(row) for row in read_rows(tmp_path / name / "pruned.jsonl")] == [{"id", "question", "cot", "answer", "messages"}] * 3
    recut(tmp_path / "cut", tmp_path / "again", ratio=0.7)
    assert read_rows(prune(source, old) / "pruned.jsonl")[2]["level"] == 2


def test_settings_of_other_methods_are_no_difference_unless_somebody_chose_them(tmp_path: Path) -> None:
    """Version 0.1.0 wrote the settings of all methods; suffix_tokens went with --scores every too."""
    source = write_rows(tmp_path / "rows.jsonl", [row(0)])
    out = prune(source, tmp_path / "out")
    with Store.open(out) as store:
        settings = store.fact("settings")
        store.set_fact(
            "settings", {**settings, "tau": 0.6, "suffix_tokens": None, "faithful": False, "gammas": [1.0, 0.9, 0.8, 0.7, 0.6, 0.5]}
        )
        assert store.claim(settings, OF_METHODS)["tau"] == 0.6
        store.set_fact("settings", {**settings, "suffix_tokens": 6})
        with pytest.raises(InputError, match="suffix_tokens is 6 there and nothing here"):
            store.claim(settings, OF_METHODS)


def test_replies_are_found_and_brought_over(tmp_path: Path) -> None:
    text = 'odd: \x00 \ud83d {"a": "é"}'
    reply = ("k", "select", zlib.compress(text.encode("utf-8", "surrogatepass"), 6), "stop", 7, 9, True, False)
    batch = ("b1", zlib.compress(json.dumps({"k2": "anchor"}).encode("ascii")))
    old = write(tmp_path / "old/replies.sqlite", REPLIES, [("replies", reply), ("batches", batch)])
    with ReplyCache.open(tmp_path / "new", also=[old]) as replies:
        assert replies.get("k") == Generation(text, "stop", 7, 9, counted_here=True)
        assert replies.usage() == {}
    with ReplyCache.open(old) as replies:
        assert replies.get("k") == Generation(text, "stop", 7, 9, counted_here=True)
        assert replies.usage() == {"select": Usage(1, 7, 9)}
    for _ in range(2):
        assert open_batches(old) == ["b1"]


def test_generations_and_verdicts_are_found(tmp_path: Path) -> None:
    old = write(tmp_path / "evaluation.sqlite", EVALUATION, [("done", ("a", body({"text": "\ud83d é"}))), ("sessions", (1, 2.5, 3))])
    with Ledger.open(old) as ledger:
        assert not ledger.has("b")
        assert ledger.found("a", is_written) == {"text": "\ud83d é"}
        assert ledger.sessions([1]) == (2.5, 3)
        assert ledger.begin_session({}) == 2


def test_support_is_found(tmp_path: Path) -> None:
    scorer, sample = load_scorer(f"hf:{model_folder()}"), Sample("x", "What is 1?", "It is 1.", "1")
    with SupportScorer.open(scorer, tmp_path / "new") as judge:
        assert judge.support(sample, sample.cot) < 0
    with closing(sqlite3.connect(tmp_path / "new/judge.sqlite")) as connection:
        [(key, _)] = connection.execute("SELECT * FROM verdicts").fetchall()
    old = write(tmp_path / "old/judge.sqlite", JUDGE, [("verdicts", (key, -0.125))])
    with SupportScorer.open(scorer, old) as judge:
        assert (judge.support(sample, sample.cot), judge.computed) == (-0.125, 0)


def test_runs_of_references_are_found(tmp_path: Path) -> None:
    problem = Problem(
        "p",
        "double x",
        None,
        Calls("double", [[1]], [2], lambda arguments, output, expected: output == expected),
        references=["def double(x):\n    return 2 * x\n"],
    )
    sandbox: Any = SimpleNamespace(identity=["not to be asked"])
    run = {"verdict": "pass", "detail": "", "cpu_s": 3.5, "wall_s": 4.0}
    old = write(tmp_path / "references.sqlite", REFERENCES, [("runs", (_key(problem, sandbox, LimitSettings()), body(run)))], wal=False)
    assert References(sandbox, LimitSettings(), old).prepare(problem).reference_cpu_s == 3.5
