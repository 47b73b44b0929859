"""Runs over conversations: each thinking turn is decided by itself, and each conversation is one row again."""

import json
import os
import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent_rows import CHECK, LATER, PLAN, ROWS, SAID_12, thinks, user
from asap.cli import run
from asap.dataset.source import Source
from asap.errors import RowError
from asap.events import Listener
from asap.lm.specs import load_tokens
from asap.prune.methods import TOKEN_LEVEL
from asap.prune.settings import AsapSettings
from asap.prune.token_level import TokenLevel
from asap.reading import read_into
from asap.store.entry import decision_body
from asap.store.work import Store
from run_fixtures import model_folder, prune, prune_words, read_counts, read_decisions, read_rows, row, same_output, write_rows

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
    found = read_counts(pruned)
    assert (found["rows"], found["turns"], found["conversations"]) == (len(ids), len(ids), len(ROWS))
    assert found["rows"] == found["pruned"] + found["unchanged"] + found["rejected"]


def test_rows_without_conversations_have_no_such_counts(tmp_path: Path) -> None:
    out = prune(write_rows(tmp_path / "rows.jsonl", [row(1)]), tmp_path / "out", *ASKED)
    assert "turns" not in read_counts(out)
    assert "conversations" not in read_counts(out)


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
    assert (read_counts(out)["rows"], read_counts(out)["turns"], read_counts(out)["conversations"]) == (5, 4, 2)


def test_what_a_training_format_lacks_of_conversations_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    excluded = {**SAID_12, "weight": 0}
    rows = [
        {"id": "a", "messages": [user(), SAID_12, user(), excluded, user(), SAID_12]},
        {"id": "b", "messages": [user(), excluded, user(), SAID_12]},
        {"id": "c", "messages": [user(), SAID_12, user(), SAID_12]},
        {"id": "d", "messages": [user(), SAID_12, user(), {"role": "assistant", "content": "<think>\nnever closed"}]},
    ]
    options = [word for name in ("trl", "sharegpt", "verl") for word in ("--format", name)]
    source, out = write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out"
    assert run(["prune", str(source), *ASKED, "--ratio", "0.5", *options, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert [len(read_rows(out / f"{name}.jsonl")) for name in ("pruned", "trl", "sharegpt", "verl")] == [4, 3, 3, 4]
    for name in ("trl", "sharegpt"):
        assert f"note     conversations that end in {name}.jsonl before a turn that must not be learnt: 2\n" in said
        assert f"note     conversations that are not in {name}.jsonl: 1; its rows can hold no turn to learn\n" in said
    assert "verl.jsonl before" not in said
    assert (read_counts(out)["shortened"], read_counts(out)["left_out"]) == ({"trl": 2, "sharegpt": 2}, {"trl": 1, "sharegpt": 1})


def test_a_turn_that_the_scorer_cannot_read_is_not_learnt(tmp_path: Path) -> None:
    out, cut = tmp_path / "out", tmp_path / "cut"
    prune(write_rows(tmp_path / "rows.jsonl", [ROWS["sharegpt"]]), out, *ASKED)
    with closing(sqlite3.connect(out / "work.sqlite")) as database:  # its second turn alone failed
        failed = decision_body(RowError("worker_died", "twice"))
        database.execute(
            "UPDATE decisions SET failed = 1, body = ? WHERE digest IN (SELECT digest FROM input WHERE id LIKE '%@3')", [failed]
        )
        database.commit()
    assert run(["cut", str(out), "--ratio", "0.3", "--format", "verl", "--format", "trl", "--out", str(cut)]) == 0
    assert [one["reason"] for one in read_rows(cut / "rejected.jsonl")] == ["worker_died"]
    [flagged], [without] = (read_rows(cut / f"{name}.jsonl") for name in ("verl", "trl"))
    assert [message["trainable"] for message in flagged["messages"]] == [False, True, False, False]
    assert len(without["messages"]) == 2


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


def test_what_the_scorer_had_no_room_for_is_told(tmp_path: Path) -> None:
    """The tiny model holds 2,048 tokens, half of them before the trace."""
    long = {"id": "a", "messages": [user("so the sum " * 700), SAID_12, user("again"), SAID_12]}
    out = prune(write_rows(tmp_path / "rows.jsonl", [long, row(1)]), tmp_path / "out")
    told = {decision["id"]: decision.get("unread", 0) for decision in read_decisions(out)}
    assert told["a@1"] > 500
    assert told["a@3"] > told["a@1"]
    assert told["r1"] == 0
    assert read_counts(out)["unread"] == 2
    assert run(["cut", str(out), "--ratio", "0.8", "--out", str(tmp_path / "cut")]) == 0
    assert {decision["id"]: decision.get("unread", 0) for decision in read_decisions(tmp_path / "cut")} == told


def test_doctor_and_dry_runs_count_turns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = {"role": "assistant", "content": "<think>\nnever closed"}
    rows = [ROWS["tool calls, thinking beside"], row(1), {"messages": [user(), broken, user(), SAID_12]}]
    source = str(write_rows(tmp_path / "rows.jsonl", rows))
    assert run(["prune", source, "--dry-run", *ASKED]) == 0
    assert "6 rows read, 5 of them turns of 2 conversations: 5 usable, 1 rejected" in capsys.readouterr().out
    assert run(["prune", source, "--dry-run", *ASKED, "--limit", "1"]) == 0
    assert "3 rows read, 3 of them turns of 1 conversation: 3 usable" in capsys.readouterr().out
    run(["doctor", source])
    assert "6 rows in 1 source, 5 of them turns of 2 conversations" in " ".join(capsys.readouterr().out.split())


def test_tokenskip_has_no_question_to_state_its_ratio_in(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [ROWS["sharegpt"]])
    with Store.open(tmp_path / "out") as store:
        read_into(store, Source([str(source)]), Listener())
        [first, *_] = [waiting.sample for page in store.batches(9) for waiting in page]
    settings = AsapSettings(method=TOKEN_LEVEL["tokenskip"], coarse=None, ratio=0.5)
    importance = SimpleNamespace(identity={}, batch_tokens=0, read=lambda texts: [None for _ in texts])
    level = TokenLevel(settings, load_tokens("bundled"), load_tokens("bundled"), importance)  # type: ignore[arg-type]
    with pytest.raises(RowError, match="tokenskip states its ratio in the question"):
        next(level._decide(first, None))


def test_methods_are_compared_on_turns(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [ROWS["sharegpt"], row(1)])
    models = ["--scorer", f"hf:{model_folder()}", "--judge", f"hf:{model_folder()}"]
    words = ["compare", str(source), "--methods", "asap,random", "--ratios", "0.5", *models]
    assert run([*words, "--out", str(tmp_path / "compared")]) == 0
    judged = read_rows(tmp_path / "compared" / "judged.jsonl")
    assert len({one["id"] for one in judged}) == 3
    assert {one["id"].rpartition("@")[2] for one in judged} == {"1", "3", "r1"}


def test_a_conversation_is_stored_once(tmp_path: Path) -> None:
    """A hundred turns, each of which has all earlier ones before it."""
    noise = os.urandom(3000).hex()
    chat = [one for number in range(100) for one in (user(f"{number} {noise[number * 50 :][:1000]}"), SAID_12)]
    source = write_rows(tmp_path / "rows.jsonl", [{"messages": chat}])
    out = prune(source, tmp_path / "out", *ASKED)
    with closing(sqlite3.connect(out / "work.sqlite")) as database:
        [[size]] = database.execute("SELECT SUM(LENGTH(body)) FROM (SELECT body FROM samples UNION ALL SELECT body FROM conversations)")
    assert size < source.stat().st_size


def test_memory_does_not_grow_with_the_contexts_of_all_turns(tmp_path: Path) -> None:
    """Together they would take a hundred times the conversation."""
    chat = [one for number in range(200) for one in (user(f"{number} so the sum " * 200), SAID_12)]
    source = write_rows(tmp_path / "rows.jsonl", [{"messages": chat}])
    size = source.stat().st_size
    with Store.open(tmp_path / "out") as store:
        tracemalloc.start()
        try:
            read_into(store, Source([str(source)]), Listener())
            read = tracemalloc.get_traced_memory()[1]
            for page in store.batches(1):
                for waiting in page:
                    store.decide(waiting.digest, True, decision_body(RowError("none", "none")))
            tracemalloc.reset_peak()
            assert sum(1 for _ in store.entries()) == 200
            decided = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert max(read, decided) < 15 * size


def test_a_run_that_goes_on_and_shards_that_are_merged_write_the_same(tmp_path: Path, pruned: Path) -> None:
    source = pruned.parent / "rows.jsonl"
    again = prune(source, tmp_path / "again", *ASKED, "--limit", "3")
    assert read_counts(again)["conversations"] == 3
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
