"""Shards, merged, are the run that was not divided, byte for byte; whatever is missing or does not fit is named."""

import json
import random
import shutil
import sqlite3
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asap.cli import run
from asap.dataset.shard import Shard
from asap.digest import content_digest
from asap.errors import UsageError
from asap.store.work import Store
from own_process import begin, wait_until
from run_fixtures import FILES, count_decisions, model_folder, prune, prune_words, refusal, row, same_output, write_rows

BAD: list[dict[str, Any] | str] = ["no JSON", {"id": "no columns"}, {**row(1), "cot": " "}, "[]"]
WITHOUT_MODEL = ["--method", "keep-tail", "--scorer", f"hf:{model_folder()}"]

rows_of_sources = st.lists(
    st.one_of(
        st.builds(lambda number, row_id: {**row(number, steps=3), "id": row_id}, st.integers(0, 5), st.sampled_from(["a", "a#2", "b", ""])),
        st.sampled_from(BAD),
    ),
    min_size=1,
    max_size=12,
).filter(lambda rows: any(value not in BAD for value in rows))


def shards(source: Path, folder: Path, count: int, *options: str) -> list[Path]:
    """Prune every shard of a source; returns their folders."""
    return [prune(source, folder / f"shard-{index}", "--shard", f"{index}/{count}", *options) for index in range(count)]


def merge(folders: Sequence[Path], out: Path, *options: str) -> Path:
    assert run(["merge", *map(str, folders), "--out", str(out), *options]) == 0
    return out


@settings(max_examples=8, deadline=None)
@given(rows_of_sources, st.integers(1, 4), st.none() | st.integers(1, 12), st.randoms(use_true_random=False))
def test_merged_shards_are_the_run_without_shards(rows: list[Any], count: int, limit: int | None, chance: random.Random) -> None:
    with TemporaryDirectory() as folder:
        here = Path(folder)
        source = write_rows(here / "rows.jsonl", [row(9), *rows])
        options = [*WITHOUT_MODEL, *(["--limit", str(limit)] if limit else [])]
        folders = shards(source, here, count, *options)
        chance.shuffle(folders)
        merged = merge(folders, here / "merged")
        same_output(prune(source, here / "whole", *options), merged)
        assert {path.name for path in merged.iterdir()} == FILES


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [*(row(number) for number in range(9)), *BAD, {**row(3), "id": "again"}, {**row(4), "question": "Other?"}, row(20, steps=40)]
    return write_rows(tmp_path_factory.mktemp("source") / "rows.jsonl", rows)


@pytest.fixture(scope="module")
def parts(source: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return shards(source, tmp_path_factory.mktemp("parts"), 3)


def test_a_merged_run_is_cut_reviewed_and_continued_like_any_other(
    source: Path, parts: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = prune(source, tmp_path / "whole", "--format", "trl")
    merged = merge(parts, tmp_path / "merged", "--format", "trl", "--review", "--max-rejected", "4")
    assert (merged / "review.html").is_file()
    assert (merged / "trl.jsonl").read_bytes() == (whole / "trl.jsonl").read_bytes()
    same_output(whole, merged)
    for folder in (whole, merged):
        assert run(["cut", str(folder), "--ratio", "0.3", "--out", str(tmp_path / f"cut-{folder.name}")]) == 0
    same_output(tmp_path / "cut-whole", tmp_path / "cut-merged")
    capsys.readouterr()
    prune(source, merged)
    assert "0 traces to score" in (said := capsys.readouterr().err)
    assert "the source is unchanged: its 16 rows were read before" in said
    same_output(whole, merged)
    same_output(whole, merge(parts, merged))  # again
    assert run(["merge", *map(str, parts), "--out", str(tmp_path / "strict"), "--max-rejected", "3"]) == 1


def test_a_cut_of_each_shard_can_be_merged_too(source: Path, parts: list[Path], tmp_path: Path) -> None:
    cuts = [tmp_path / f"cut-{part.name}" for part in parts]
    for part, out in zip(parts, cuts, strict=True):
        assert run(["cut", str(part), "--ratio", "0.3", "--out", str(out)]) == 0
    same_output(prune(source, tmp_path / "whole", "--ratio", "0.3"), merge(cuts, tmp_path / "merged"))


def test_what_does_not_fit_is_refused_and_named(
    source: Path, parts: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "merged")

    def refused(*folders: Path) -> str:
        return refusal(capsys, "merge", *map(str, folders), "--out", out)

    assert refused(*parts[:2]) == "shard 2/3 is missing; prune it with --shard 2/3, or name its folder too"
    assert "are both shard 0/3; name each shard once" in refused(*parts, parts[0])
    assert f"cannot be merged into {parts[1]}" in refusal(capsys, "merge", *map(str, parts), "--out", str(parts[1]))
    assert "there is no folder" in refused(*parts, tmp_path / "nowhere")
    whole = prune(source, tmp_path / "whole")
    assert "is no shard: it was pruned without --shard" in refused(whole)
    other = prune(source, tmp_path / "other", "--shard", "2/3", "--keep-last", "1")
    assert f"keep_last is 0 in {parts[0]} and 1 in {other}" in refused(*parts[:2], other)
    division = prune(source, tmp_path / "division", "--shard", "2/4")
    assert "is shard 2/4, of another division" in refused(*parts[:2], division)
    changed = tmp_path / "elsewhere"
    shutil.copytree(parts[2], changed)
    with Store.open(changed) as store:
        store.set_fact("source", {**store.fact("source"), "content": "other"})
    assert "which are not the same rows; run asap prune again" in refused(*parts[:2], changed)
    with Store.open(changed) as store:
        store._db.execute("DELETE FROM decisions")
    assert f"{changed} holds an unfinished run" in refused(*parts[:2], changed)
    with Store.open(parts[0]):
        assert "another asap process is working in" in refused(*parts)
    assert not Path(out).exists()
    message = refusal(capsys, *prune_words(source, parts[0], "--shard", "1/3"))
    assert "shard is 0/3 there and 1/3 here" in message


@pytest.mark.parametrize("text", ["8/8", "-1/8", "1", "1/", "/2", "a/b", "0/0", "1/2/3", ""])
def test_a_shard_that_is_none_is_refused(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = refusal(capsys, *prune_words(write_rows(tmp_path / "rows.jsonl", [row(1)]), tmp_path / "out"), f"--shard={text}")
    assert "counted from 0" in message
    with pytest.raises(UsageError, match="counted from 0"):
        Shard.parse(text)


@given(st.integers(1, 50), st.integers(0, 1000), st.none() | st.text())
def test_every_row_is_in_exactly_one_shard(count: int, position: int, text: str | None) -> None:
    digest = None if text is None else content_digest(text)
    assert sum(Shard(index, count).holds(position, digest) for index in range(count)) == 1


def test_a_shard_without_rows_is_a_shard(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(1)])
    folders = shards(source, tmp_path, 3, "--review")
    assert sorted(count_decisions(folder) for folder in folders) == [0, 0, 1]
    same_output(prune(source, tmp_path / "whole"), merge(folders, tmp_path / "merged"))
    for index in range(3):
        assert run([*prune_words(source, tmp_path / "none", "--shard", f"{index}/3"), "--dry-run"]) == 0


def test_another_shard_may_take_the_folder_of_one_without_rows(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(1)])
    folders = shards(source, tmp_path, 2)
    empty = next(index for index, folder in enumerate(folders) if not count_decisions(folder))
    assert count_decisions(prune(source, folders[empty], "--shard", f"{1 - empty}/2")) == 1


def test_a_merge_may_take_the_folder_of_a_cut_at_the_same_budget(source: Path, parts: list[Path], tmp_path: Path) -> None:
    whole = prune(source, tmp_path / "whole")
    assert run(["cut", str(whole), "--ratio", "0.5", "--out", str(tmp_path / "cut")]) == 0
    merged = merge(parts, tmp_path / "cut")
    whole.rename(tmp_path / "moved")
    same_output(tmp_path / "moved", merge(parts, merged))


def test_a_merge_without_a_usable_row_fails_as_such_a_run_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = shards(write_rows(tmp_path / "rows.jsonl", ["no JSON", "[]"]), tmp_path, 2)
    said = refusal(capsys, "merge", *map(str, folders), "--out", str(tmp_path / "merged"), lines=None)
    assert said.startswith(f"no usable row in {tmp_path}/rows.jsonl: 2 rejected")
    assert said.endswith(f"see {tmp_path}/merged/rejected.jsonl")


def test_a_merge_that_was_killed_is_made_again(source: Path, parts: list[Path], tmp_path: Path) -> None:
    whole, chance = prune(source, tmp_path / "whole"), random.Random(0)
    out, done = tmp_path / "merged", 0
    for _ in range(3):
        process = begin(["merge", *map(str, parts), "--out", str(out)], tmp_path / "said")
        wait_until(lambda: (out / "work.sqlite").exists(), process)
        process.join(chance.uniform(0.0, 0.1))
        process.kill()
        process.join()
        done += process.exitcode == 0
    assert done < 3
    same_output(whole, merge(parts, out))
    assert {path.name for path in out.iterdir()} == FILES


def test_shards_of_a_source_that_lies_elsewhere_or_was_touched_fit_together(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(6)])
    one = prune(source, tmp_path / "one", "--shard", "0/2")
    source.write_bytes(source.read_bytes())
    two = prune(source, tmp_path / "two", "--shard", "1/2")
    same_output(prune(source, tmp_path / "whole"), merge([one, two], tmp_path / "merged"))


def test_the_merged_input_is_that_of_the_source(source: Path, parts: list[Path], tmp_path: Path) -> None:
    merged = merge(parts, tmp_path / "merged")
    with sqlite3.connect(merged / "work.sqlite") as connection:
        positions = [position for [position] in connection.execute("SELECT position FROM input ORDER BY position")]
    assert all(one + 1 == other for one, other in pairwise(positions))
    assert "shard" not in json.loads((merged / "manifest.json").read_text("utf-8"))["settings"]
