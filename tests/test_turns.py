"""Runs over conversations: each thinking turn is decided by itself, and each conversation is one row again."""

import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent_rows import CHECK, LATER, PLAN, ROWS, SAID_12, thinks, user
from asap.cli import run
from run_fixtures import model_folder, prune, prune_words, read_decisions, read_rows, row, same_output, write_rows

ASKED = ["--context", "raw", "--method", "keep-tail"]
"""Without a model, and the tiny model's template refuses system messages."""


def agent_rows() -> list[dict[str, Any]]:
    return [json.loads(json.dumps(one)) for one in ROWS.values()]


def parts(value: Any) -> list[str]:
    """All texts in JSON."""
    if isinstance(value, str):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for one in values for text in parts(one)]


def counts(folder: Path) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))["counts"]
    return found


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("turns")
    return prune(write_rows(folder / "rows.jsonl", agent_rows()), folder / "out", *ASKED)


def test_each_conversation_is_one_row_with_shorter_thinking(pruned: Path) -> None:
    written = read_rows(pruned / "pruned.jsonl")
    assert len(written) == len(ROWS)
    for before, after in zip(ROWS.values(), written, strict=True):
        assert list(after) == ["id", *(name for name in before if name != "id")]
        for old, new in zip(parts(before), parts({name: after[name] for name in before}), strict=True):
            thought = next((one for one in (PLAN, CHECK, LATER) if one in old), None)
            if thought is None:
                assert new == old
            else:  # the last of three steps, verbatim, and what stands around the thought as it was
                assert new == old.replace(thought, thought.split("\n\n")[-1])


def test_each_turn_has_its_decision(pruned: Path) -> None:
    ids = [decision["id"] for decision in read_decisions(pruned)]
    assert ids[:3] == ["beside@2", "beside@4", "beside@6"]
    assert len(set(ids)) == len(ids) == 2 * len(ROWS) + 1
    found = counts(pruned)
    assert (found["rows"], found["turns"], found["conversations"]) == (len(ids), len(ids), len(ROWS))
    assert found["rows"] == found["pruned"] + found["unchanged"] + found["rejected"]


def test_rows_without_conversations_have_no_such_counts(tmp_path: Path) -> None:
    out = prune(write_rows(tmp_path / "rows.jsonl", [row(1)]), tmp_path / "out", *ASKED)
    assert "turns" not in counts(out)
    assert "conversations" not in counts(out)


def test_a_rejected_turn_stays_as_it_is_and_the_others_are_pruned(tmp_path: Path) -> None:
    broken = {"role": "assistant", "content": "<think>\nnever closed"}
    rows = [
        {"id": "a", "messages": [user(), broken, user(), SAID_12]},
        {"id": "b", "messages": [user(), broken, user(), broken]},
        {"id": "c", "messages": [user(), {"role": "assistant", "content": "x"}, user(), {"role": "assistant", "content": "y"}]},
    ]
    out = prune(write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out", *ASKED)
    [written] = read_rows(out / "pruned.jsonl")
    assert written["messages"][1] == broken
    assert written["messages"][3]["content"] == thinks(CHECK.split("\n\n")[-1], "It has 12 lines.")
    rejected = [(one["id"], one["line"], one["reason"]) for one in read_rows(out / "rejected.jsonl")]
    assert rejected == [("a@1", 1, "unclosed_think"), ("b@1", 2, "unclosed_think"), ("b@3", 2, "unclosed_think"), ("c", 3, "no_think")]
    assert (counts(out)["rows"], counts(out)["turns"], counts(out)["conversations"]) == (5, 4, 2)


def test_a_turn_that_the_scorer_cannot_read_stays_as_it_is(tmp_path: Path) -> None:
    """The tiny model's chat template refuses system messages, so only the turns of that conversation fail."""
    rows = [ROWS["tool calls, thinking beside"], ROWS["sharegpt"]]
    out = prune(write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out")
    assert {one["reason"] for one in read_rows(out / "rejected.jsonl")} == {"template_failed"}
    assert len(read_rows(out / "pruned.jsonl")) == 1


def test_equal_ids_are_numbered_by_conversation(tmp_path: Path) -> None:
    one, other = {"id": "a", "messages": [user(), SAID_12, user(), SAID_12]}, {**row(1), "id": "a"}
    short = {"id": "a", "messages": [user(), {"role": "assistant", "content": "x"}, user(), SAID_12]}
    rows = [short, one, other, one, {**row(2), "id": "a@1"}, {**row(3), "id": "b@1"}, {**one, "id": "b"}]
    out = prune(write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out", *ASKED)
    assert [one["id"] for one in read_rows(out / "pruned.jsonl")] == ["a", "a#2", "a#3", "a#4", "a@1", "b@1", "b#2"]
    ids = [decision["id"] for decision in read_decisions(out)]
    assert ids == ["a@3", "a#2@1", "a#2@3", "a#3", "a#4@1", "a#4@3", "a@1", "b@1", "b#2@1", "b#2@3"]


def test_a_turn_is_decided_as_the_same_row_in_columns(tmp_path: Path) -> None:
    whole = {"id": "r", "messages": [user("q"), {"role": "assistant", "content": thinks(row(1)["cot"], "a"), "train": True}]}
    source = write_rows(tmp_path / "rows.jsonl", [whole, {**row(1), "id": "r2", "question": "q", "answer": "a"}])
    one, other = read_decisions(prune(source, tmp_path / "out"))
    assert {**one, "id": "r2"} == other
    assert one["id"] == "r@1"


def test_a_conversation_is_stored_once(tmp_path: Path) -> None:
    """A hundred turns, each of which has all earlier ones before it."""
    noise = os.urandom(3000).hex()
    chat = [one for number in range(100) for one in (user(f"{number} {noise[number * 50 :][:1000]}"), SAID_12)]
    source = write_rows(tmp_path / "rows.jsonl", [{"messages": chat}])
    out = prune(source, tmp_path / "out", *ASKED)
    with closing(sqlite3.connect(out / "work.sqlite")) as database:
        [[size]] = database.execute("SELECT SUM(LENGTH(body)) FROM (SELECT body FROM samples UNION ALL SELECT body FROM conversations)")
    assert size < source.stat().st_size


def test_a_run_that_goes_on_and_shards_that_are_merged_write_the_same(tmp_path: Path, pruned: Path) -> None:
    source = pruned.parent / "rows.jsonl"
    again = prune(source, tmp_path / "again", *ASKED, "--limit", "3")
    assert counts(again)["conversations"] == 3
    same_output(prune(source, again, *ASKED), pruned)
    shards = [tmp_path / f"shard-{index}" for index in range(3)]
    for index, folder in enumerate(shards):
        assert run(prune_words(source, folder, *ASKED, "--shard", f"{index}/3")) == 0
    assert run(["merge", *map(str, shards), "--out", str(tmp_path / "merged")]) == 0
    same_output(tmp_path / "merged", pruned)


def test_a_cut_cuts_each_turn_again(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [ROWS["sharegpt"], row(1), ROWS["history"]])
    options = ["--context", "raw", "--scorer", f"hf:{model_folder()}"]
    half, most = prune(source, tmp_path / "half", *options, "--ratio", "0.5"), prune(source, tmp_path / "most", *options, "--ratio", "0.8")
    for copies in ([], ["--copy"]):
        out = tmp_path / f"cut{len(copies)}"
        assert run(["cut", str(half), "--ratio", "0.8", "--out", str(out), *copies]) == 0
        same_output(out, most)


def test_what_was_pruned_can_be_pruned_again(tmp_path: Path, pruned: Path) -> None:
    again = prune(pruned / "pruned.jsonl", tmp_path / "again", *ASKED, "--ratio", "1.0")
    assert (again / "pruned.jsonl").read_bytes() == (pruned / "pruned.jsonl").read_bytes()
