"""A command that fails on bad input leaves no folder of no worth; one that was killed says which command goes on with it."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from asap.cli import run
from asap.store.work import Store
from run_fixtures import prune, prune_words, refusal, row, same_output, tokenizer, write_rows


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("source") / "rows.jsonl", [row(number) for number in range(3)])


@pytest.fixture(scope="module")
def finished(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prune(source, tmp_path_factory.mktemp("finished") / "out")


def test_a_cut_that_fails_half_way_leaves_nothing_and_can_be_made_right(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["cut", str(finished), "--out", str(tmp_path / "cut"), "--method"]
    assert "no scores of method 'leave-one-out' are stored" in refusal(capsys, *words, "leave-one-out")
    assert not (tmp_path / "cut").exists()
    assert "there is no folder" in refusal(capsys, "cut", str(tmp_path / "cut"), "--budget", "9", "--out", str(tmp_path / "other"))
    assert run([*words, "random"]) == 0


def test_what_was_in_the_folder_of_a_failed_cut_stays(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "cut"
    (out / ".git").mkdir(parents=True)
    (out / ".git" / "HEAD").write_text("ref")
    refusal(capsys, "cut", str(finished), "--out", str(out), "--method", "leave-one-out")
    assert [path.name for path in out.iterdir()] == [".git"]
    assert run(["cut", str(finished), "--out", str(out), "--budget", "20"]) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    refusal(capsys, "cut", str(finished), "--out", str(out), "--method", "leave-one-out")
    refusal(capsys, "cut", str(finished), "--out", str(out), "--budget", "21")
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before


def test_a_prune_of_bad_input_leaves_nothing_and_one_with_rejected_rows_tells_of_them(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.jsonl.gz"
    broken.write_bytes(b"\x1f\x8b no archive")
    for name in (str(broken), str(tmp_path / "missing.jsonl")):
        refusal(capsys, *prune_words(name, tmp_path / "out"), lines=None)
        assert not (tmp_path / "out").exists(), name
    none = write_rows(tmp_path / "none.jsonl", ["no JSON"])
    assert "see " in refusal(capsys, *prune_words(none, tmp_path / "out"), lines=None)
    assert (tmp_path / "out" / "rejected.jsonl").stat().st_size > 0
    prune(source, tmp_path / "run")
    broken.rename(tmp_path / "rows.jsonl.gz")
    refusal(capsys, *prune_words(tmp_path / "rows.jsonl.gz", tmp_path / "run"), lines=None)
    assert run(["review", str(tmp_path / "run"), "--out", str(tmp_path / "page.html")]) == 0  # the run that was there stays


def test_a_merge_that_fails_leaves_nothing(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shards = [prune(source, tmp_path / f"shard{number}", "--shard", f"{number}/2") for number in range(2)]
    for shard in shards:
        with closing(sqlite3.connect(shard / "work.sqlite")) as database, database:
            database.execute("UPDATE samples SET body = x'00'")
    refusal(capsys, "merge", *map(str, shards), "--out", str(tmp_path / "out"), lines=None)
    assert not (tmp_path / "out").exists()


def test_a_killed_cut_is_named_as_one_and_goes_on(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["cut", str(finished), "--out", str(tmp_path / "cut"), "--budget", "20"]
    assert run(words) == 0
    whole = Path(shutil.copytree(tmp_path / "cut", tmp_path / "whole"))
    for path in (tmp_path / "cut").iterdir():  # as a kill leaves it while it writes
        if path.name != "work.sqlite":
            path.unlink()
    said = refusal(capsys, "review", str(tmp_path / "cut"), "--out", str(tmp_path / "page.html"))
    assert said == f"{tmp_path / 'cut'} holds an unfinished cut of {finished}; run the same asap cut again to finish it"
    assert run(words) == 0
    same_output(whole, tmp_path / "cut")


def test_an_unfinished_run_names_asap_prune(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = prune(source, tmp_path / "run")
    (out / "manifest.json").unlink()
    said = refusal(capsys, "review", str(out), "--out", str(tmp_path / "page.html"))
    assert said == f"{out} holds an unfinished run; run the same asap prune again to finish it"
    with Store.open(tmp_path / "claimed") as store:
        store.set_fact("settings", {"budget": 9})
    said = refusal(capsys, "review", str(tmp_path / "claimed"), "--out", str(tmp_path / "page.html"))
    assert said.endswith("holds an unfinished run; run the same command again to finish it")


def test_a_reader_of_a_cut_whose_tokenizer_changed_leaves_nothing(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    used = tmp_path / "tokenizer"
    tokenizer(270).save_pretrained(used)
    base = prune(source, tmp_path / "base", "--backfill", "--tokenizer", str(used))
    tokenizer(300).save_pretrained(used)
    assert "is not the tokenizer" in refusal(capsys, "cut", str(base), "--budget", "9", "--out", str(tmp_path / "cut"))
    assert not (tmp_path / "cut").exists()
    assert json.loads((base / "manifest.json").read_text("utf-8"))["counts"]["rows"] == 3
