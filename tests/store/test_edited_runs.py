"""Files of a run that somebody edited, cut off or replaced get a sentence that names the file, and the review never shows a wrong page."""

import json
import shutil
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from asap.cli import run
from run_fixtures import prune, prune_words, read_rows, refusal, row, write_rows


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    source = write_rows(folder / "rows.jsonl", [*map(row, range(3)), "no JSON"])
    prune(source, folder / "out", "--method", "keep-tail")
    prune(source, folder / "inside", "--method", "selective-context", "--phrases", "regex")
    return folder


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "copy")
    return tmp_path / "copy" / "out"


def execute(folder: Path, sql: str, *values: Any) -> None:
    with closing(sqlite3.connect(folder / "work.sqlite")) as store:
        store.execute(sql, values)
        store.commit()


def packed(value: Any) -> bytes:
    return zlib.compress(json.dumps(value).encode())


def settings(folder: Path, value: Any) -> None:
    execute(folder, "UPDATE facts SET value = ? WHERE name = 'settings'", json.dumps(value))


STORES: dict[str, Callable[[Path], None]] = {
    "settings {}": lambda out: settings(out, {}),
    "settings []": lambda out: settings(out, []),
    "settings text": lambda out: settings(out, "asap"),
    "settings without a method": lambda out: settings(out, {"budget": 1}),
    "source []": lambda out: execute(out, "UPDATE facts SET value = '[1]' WHERE name = 'source'"),
    "source {}": lambda out: execute(out, "UPDATE facts SET value = '{\"state\": [1, [2]]}' WHERE name = 'source'"),
    "origin": lambda out: execute(out, "INSERT INTO facts VALUES ('origin', '[1]')"),
    "origin {}": lambda out: execute(out, "INSERT INTO facts VALUES ('origin', '{}')"),
    "seconds": lambda out: execute(out, "UPDATE facts SET value = '\"long\"' WHERE name = 'score_s'"),
    "facts not JSON": lambda out: execute(out, "UPDATE facts SET value = 'x'"),
    "facts empty": lambda out: execute(out, "DELETE FROM facts"),
    "sample of other columns": lambda out: execute(out, "UPDATE samples SET body = ?", packed({"a": 1})),
    "sample a list": lambda out: execute(out, "UPDATE samples SET body = ?", packed([1])),
    "sample null": lambda out: execute(out, "UPDATE samples SET body = ?", packed(None)),
    "sample a number": lambda out: execute(out, "UPDATE samples SET body = 7"),
    "sample text": lambda out: execute(out, "UPDATE samples SET body = 'text'"),
    "sample deep": lambda out: execute(out, "UPDATE samples SET body = ?", zlib.compress(b"[" * 99_999)),
    "decision a list": lambda out: execute(out, "UPDATE decisions SET body = ?", packed([1])),
    "decision {}": lambda out: execute(out, "UPDATE decisions SET body = ?", packed({})),
    "decision null": lambda out: execute(out, "UPDATE decisions SET body = ?", packed(None)),
    "decision text": lambda out: execute(out, "UPDATE decisions SET body = 'text'"),
    "decision steps 5": lambda out: execute(out, "UPDATE decisions SET body = ?", packed({"coarse": {"by": "none"}, "steps": 5})),
    "failed decision {}": lambda out: execute(out, "UPDATE decisions SET body = ?, failed = 1", packed({})),
    "other columns": lambda out: execute(out, "ALTER TABLE decisions RENAME COLUMN body TO content"),
    "no decisions": lambda out: execute(out, "DROP TABLE decisions"),
    "no input": lambda out: execute(out, "DROP TABLE input"),
    "another program's": lambda out: execute(out, "DROP TABLE facts"),
}


@pytest.mark.parametrize("kind", STORES)
def test_an_edited_store_gets_a_sentence(kind: str, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    STORES[kind](out)
    other = str(out.parent / "other")
    for words in (
        ["cut", str(out), "--ratio", "0.3", "--out", other],
        ["review", str(out), "--out", f"{other}.html"],
        ["merge", str(out), "--out", f"{other}-merged"],
        ["cut", str(out), "--ratio", "0.3", "--method", "random", "--out", f"{other}-random"],
        prune_words(out.parent / "rows.jsonl", out, "--method", "keep-tail", "--budget", "9"),
        prune_words(out.parent / "rows.jsonl", out, "--method", "keep-tail"),
    ):
        capsys.readouterr()
        code = run(words)
        said = capsys.readouterr().err
        assert code in (0, 1, 2), said
        if code == 2:
            [message] = [line for line in said.splitlines() if line.startswith("asap: ")]
            assert str(out) in message or "no usable row" in message
            assert f"{other}/work.sqlite" not in message


def edited(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """The second decision changed, or replaced by what the change returns."""
    rows = read_rows(folder / "decisions.jsonl")
    rows[1] = change(rows[1]) or rows[1]
    (folder / "decisions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def step(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda row: row["steps"][2].update(changes)


def top(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda row: row.update(changes)


DECISIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no steps": lambda row: row.pop("steps") and None,
    "steps text": top(steps="none"),
    "steps a number": top(steps=[1]),
    "a list": lambda row: [row],
    "text": lambda row: "decision",
    "rank text": step(rank="z"),
    "rank negative": step(rank=-1),
    "rank huge": step(rank=10**30),
    "start before the trace": step(start=-5),
    "end behind the trace": step(end=10**9),
    "start behind its end": step(start=60, end=50),
    "inside of the step before": step(start=0),
    "start a float": step(start=1.5),
    "start true": step(start=True),
    "surprisal NaN": step(surprisal=float("nan")),
    "score infinite": step(score=float("inf")),
    "score text": step(score="high"),
    "tokens many": step(tokens="many"),
    "tokens left negative": step(tokens_left=-1),
    "another index": step(index=9),
    "removed by nobody known": step(removed_by="me", kept=False),
    "kept and removed": step(removed_by="fine", kept=True),
    "an unknown column": step(colour="red"),
    "tokens before many": top(tokens_before="many"),
    "tokens before negative": top(tokens_before=-1),
    "budget text": top(budget="all"),
    "windows null": top(windows=None),
    "coarse null": top(coarse=None),
    "coarse of others": top(coarse={"by": 1}),
    "gap a number": top(gap=3),
    "floor": top(floor={"full": 0, "cut": 0, "left": 0, "grade": "holds", "back": [99], "coarse": []}),
    "an unknown id": top(id="nobody"),
    "the id of another row": top(id="r0"),
}


@pytest.mark.parametrize("kind", DECISIONS)
def test_an_edited_decision_is_not_shown(kind: str, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edited(out, DECISIONS[kind])
    said = refusal(capsys, "review", str(out), "--out", str(out / "review.html"))
    assert f"{out / 'decisions.jsonl'}, line 2: " in said
    assert not (out / "review.html").exists()


UNITS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a span outside": lambda row: row["spans"].append([5, 10**6]),
    "a span negative": lambda row: row["spans"].insert(0, [-3, 0]),
    "a span of three": lambda row: row["spans"].append([1, 2, 3]),
    "spans overlap": lambda row: row.update(spans=[[0, 9], [5, 12]]),
    "lengths": lambda row: row["units"]["lengths"].append(3),
    "scores": lambda row: row["units"]["scores"].pop() and None,
    "scores text": lambda row: row["units"]["scores"].__setitem__(0, "x"),
    "units a list": top(units=[1]),
    "gamma": top(gamma="half"),
}


@pytest.mark.parametrize("kind", UNITS)
def test_an_edited_cut_inside_of_steps_is_not_shown(kind: str, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inside = out.parent / "inside"
    edited(inside, UNITS[kind])
    assert "decisions.jsonl, line 2: " in refusal(capsys, "review", str(inside), "--out", str(out / "review.html"))


@pytest.mark.parametrize("keep", [slice(0, 2), slice(1, None)])
def test_a_missing_decision_is_noticed(keep: slice, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (out / "decisions.jsonl").read_bytes().splitlines(keepends=True)
    (out / "decisions.jsonl").write_bytes(b"".join(lines[keep]))
    assert "has 2 rows, and manifest.json counts 3" in refusal(capsys, "review", str(out), "--out", str(out / "review.html"))


@pytest.mark.parametrize("line", [b"{\n", b"[" * 99_999, b"\xff\n", b"\n", b"null\n"])
def test_a_broken_line_is_named(line: bytes, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = (out / "decisions.jsonl").read_bytes()
    for name in ("decisions.jsonl", "rejected.jsonl"):
        kept = (out / name).read_bytes()
        (out / name).write_bytes(kept + line)
        number = kept.count(b"\n") + 1
        assert f"{out / name}, line {number}: " in refusal(capsys, "review", str(out), "--out", str(out / "review.html"))
        (out / name).write_bytes(kept)
    assert (out / "decisions.jsonl").read_bytes() == whole


MANIFESTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no settings": lambda manifest: manifest.pop("settings") and None,
    "settings a list": lambda manifest: manifest.update(settings=[1]),
    "no sources": lambda manifest: manifest["settings"].pop("sources") and None,
    "sources numbers": lambda manifest: manifest["settings"].update(sources=[1]),
    "counts null": lambda manifest: manifest.update(counts=None),
    "counts of text": lambda manifest: manifest["counts"].update(pruned="3"),
    "no versions": lambda manifest: manifest.pop("versions") and None,
    "llm a list": lambda manifest: manifest.update(llm=[]),
    "a list": lambda manifest: [manifest],
    "text": lambda manifest: "input_hash",
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_an_edited_manifest_gets_a_sentence(kind: str, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps(MANIFESTS[kind](manifest) or manifest))
    assert str(out) in refusal(capsys, "review", str(out), "--out", str(out / "review.html"))


def test_a_deep_manifest_gets_a_sentence(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (out / "manifest.json").write_text("[" * 99_999)
    assert "manifest.json cannot be read" in refusal(capsys, "review", str(out), "--out", str(out / "review.html"))


def test_an_edited_training_run_gets_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arm = tmp_path / "arm"
    arm.mkdir()
    whole = {
        "settings.json": '{"model": "m", "values": {}}\n',
        "rows.jsonl": '{"id": "a", "tokens": 5, "response_tokens": 3}\n',
        "steps.jsonl": '{"step": 1, "seconds": 1.5, "tokens": 5, "peak_mib": 3, "peak_of": "process"}\n',
    }
    for name, text in whole.items():
        (arm / name).write_text(text)
    assert run(["report", str(arm)]) == 0
    capsys.readouterr()
    for name, texts in {
        "settings.json": ["[]", "{}", "7", '{"model": 1, "values": []}', "[" * 99_999],
        "rows.jsonl": ["7\n", "{}\n", '{"id": "a", "tokens": "many"}\n', '{"id": "a", "tokens": 0}\n' + "[" * 99_999],
        "steps.jsonl": [
            "7\n",
            "{}\n",
            whole["steps.jsonl"].replace("1.5", '"long"'),
            whole["steps.jsonl"].replace('"step": 1', '"step": 0'),
        ],
    }.items():
        for text in texts:
            (arm / name).write_text(text)
            assert f"{arm} is not an output folder of asap train, or its files were changed since" in refusal(capsys, "report", str(arm))
        (arm / name).write_text(whole[name])


@pytest.mark.parametrize(
    "summary", ["[]", "{", '{"benchmarks": 1}', '{"benchmarks": [1]}', '{"benchmarks": [], "settings": []}', "[" * 99_999]
)
def test_an_edited_summary_gets_a_sentence(summary: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(tmp_path / "verdicts.jsonl", [{"benchmark": "b", "task_id": "t", "passed": True, "verdict": "pass"}])
    (tmp_path / "summary.json").write_text(summary)
    assert str(tmp_path / "summary.json") in refusal(capsys, "compare-runs", str(tmp_path), str(tmp_path))
