"""Which rows a run reads, scores and writes."""

import json
from pathlib import Path

import pytest

from asap.cli import run
from asap.errors import MissingExtra
from asap.lm.gguf import bundled_gguf
from run_fixtures import prune, prune_words, read_rows, row, write_rows


def test_equal_rows_are_scored_once_and_all_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(1), {**row(1), "id": "twin"}, row(2), row(1)])
    out = prune(source, tmp_path / "out")
    assert "2 traces to score" in capsys.readouterr().err
    pruned = read_rows(out / "pruned.jsonl")
    assert [value["id"] for value in pruned] == ["r1", "twin", "r2", "r1#2"]
    assert pruned[0]["cot"] == pruned[1]["cot"] == pruned[3]["cot"]


def test_several_sources_come_one_after_the_other(tmp_path: Path) -> None:
    one, two = write_rows(tmp_path / "one.jsonl", [row(1), "{"]), write_rows(tmp_path / "two.jsonl", [row(2)])
    command, *words = prune_words(one, tmp_path / "out")
    assert run([command, str(two), *words]) == 0
    assert [value["id"] for value in read_rows(tmp_path / "out" / "pruned.jsonl")] == ["r2", "r1"]
    [rejected] = read_rows(tmp_path / "out" / "rejected.jsonl")
    assert (rejected["source"], rejected["line"]) == (str(one), 2)


def test_a_row_that_fails_while_it_is_scored_does_not_fail_the_others(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(1), {**row(2), "system": "The template refuses this."}, row(3)])
    out = prune(source, tmp_path / "out")
    assert [value["id"] for value in read_rows(out / "pruned.jsonl")] == ["r1", "r3"]
    [rejected] = read_rows(out / "rejected.jsonl")
    assert (rejected["id"], rejected["line"], rejected["reason"]) == ("r2", 2, "template_failed")


def test_a_file_name_that_is_not_utf8_can_be_read(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "caf\udce9.jsonl", [row(1), "{"])
    out = prune(source, tmp_path / "out")
    assert read_rows(out / "rejected.jsonl")[0]["source"].endswith("caf\\udce9.jsonl")
    assert json.loads((out / "manifest.json").read_text("utf-8"))["settings"]["sources"] == [f"{tmp_path}/caf\\udce9.jsonl"]


def test_the_bundled_model_prunes_an_example(tmp_path: Path) -> None:
    try:
        bundled_gguf()
    except MissingExtra as error:
        pytest.skip(f"THE BUNDLED MODEL WAS NOT TESTED: {error}")
    short = {
        "id": "a",
        "question": "What is 2 + 3?",
        "cot": "I add 2 and 3.\n\nWait, let me think of cats.\n\nThat makes 5.",
        "answer": "5",
    }
    out = prune(write_rows(tmp_path / "rows.jsonl", [short]), tmp_path / "out", "--scorer", "bundled")
    [pruned] = read_rows(out / "pruned.jsonl")
    assert 0 < len(pruned["cot"]) < len(short["cot"])
    text = "".join(path.read_text("utf-8") for path in out.iterdir() if path.name != "work.sqlite")
    assert str(Path.home()) + "/" not in text
