"""Chats that a column holds as JSON text: only the thinking in them is written anew, every other character stays."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_rows import CHECK, PLAN, ROWS, thinks, user
from asap.cli import run
from asap.conversation import Conversation
from asap.dataset import Shaped, iter_shaped
from asap.dataset.conversations import turns_of
from asap.dataset.formats import FORMATS
from asap.dataset.row_rules import RowRules
from asap.dataset.turn_formats import training_rows
from asap.errors import RowError
from asap.json_paths import Edits, changed, edited
from asap.json_paths import Path as JsonPath
from run_fixtures import read_rows, write_rows

ODD = (
    ' [ {"role":"system","content":"s"},{"role":"user","content":"caf\\u00e9 1e5", "n": 1e5, "m":1.10,"big":123456789012345678901.5},'
    '{"role": "assistant", "content": ' + json.dumps(thinks(PLAN, "Which?")) + ', "x": -0.0},'
    '{"role":"user","content":"a\\/b"},\n{"content":"c","role":"assistant","content": ' + json.dumps(thinks(CHECK, "12")) + "} ]\n"
)
"""Numbers, escapes, spaces and a key that stands twice: all of which json.dumps would write in another way."""


def conversation_of(row: dict[str, Any], rules: RowRules = RowRules()) -> Conversation:  # noqa: B008 (frozen)
    found = turns_of(row, None, rules)
    assert found is not None
    [turn, *_] = [one.sample.turn for one in found if isinstance(one, Shaped)]
    assert turn is not None
    return turn.conversation


def test_only_the_thinking_differs_in_the_text() -> None:
    whole = conversation_of({"messages": ODD})
    for one in (whole, Conversation.of_stored(json.loads(json.dumps(whole.stored())))):
        assert one.with_thinking({})["messages"] == ODD
        shorter = ODD.replace(json.dumps(PLAN)[1:-1], "short").replace(json.dumps(CHECK)[1:-1], "\\u00e9")
        assert one.with_thinking({2: "short", 4: "é"})["messages"] == shorter


def test_texts_that_differ_only_in_a_number_are_two_conversations() -> None:
    assert conversation_of({"messages": ODD}).digest != conversation_of({"messages": ODD.replace("1e5,", "100000.0,")}).digest


def test_a_text_that_an_earlier_version_stored_as_messages_is_written() -> None:
    whole = conversation_of({"messages": ODD})
    stored = json.loads(json.dumps({**whole.stored(), "row": whole.row}))
    assert json.loads(Conversation.of_stored(stored).with_thinking({})["messages"]) == json.loads(ODD)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_that_of_the_same_messages(name: str) -> None:
    """These ended the run in an internal error."""
    for column, row in (
        ("messages", ROWS["tool calls, thinking beside"]),
        ("conversations", ROWS["sharegpt"]),
        ("messages", ROWS["channels"]),
    ):
        as_text = {**row, column: json.dumps(row[column])}
        one, other = (list(training_rows(conversation_of(each), {1: "a", 2: "b", 3: "c"}, name, "all")) for each in (row, as_text))
        assert json.dumps(one) == json.dumps(other)


def test_a_run_writes_the_text_with_shorter_thinking(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"id": "a", "messages": ODD}])
    assert (
        run(["prune", str(source), "--method", "keep-tail", "--ratio", "0.4", "--format", "axolotl", "--out", str(tmp_path / "out")]) == 0
    )
    [written] = read_rows(tmp_path / "out/pruned.jsonl")
    shorter = [json.dumps(one.split("\n\n")[-1])[1:-1] for one in (PLAN, CHECK)]
    assert written["messages"] == ODD.replace(json.dumps(PLAN)[1:-1], shorter[0]).replace(json.dumps(CHECK)[1:-1], shorter[1])


def test_system_messages_leave_the_text_alone() -> None:
    whole = conversation_of({"messages": ODD}, RowRules(drop_system=True))
    assert whole.with_thinking({})["messages"] == ODD.replace('{"role":"system","content":"s"},', "")


def test_a_thought_in_several_messages_becomes_one() -> None:
    thought = {"role": "assistant", "channel": "analysis", "content": "one"}
    chat = [user(), thought, {**thought, "content": "two"}, {"role": "assistant", "channel": "final", "content": "12"}, user(), user()]
    text = json.dumps(chat, indent=1)
    [first, *_] = [line for line in conversation_of({"messages": text}).lines if line.thinking]
    written = conversation_of({"messages": text}).with_thinking({first.number: "short"})["messages"]
    expected = conversation_of({"messages": chat}).with_thinking({first.number: "short"})["messages"]
    assert written == json.dumps(expected, indent=1)


def test_half_a_character_in_the_text_is_named(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"id": "a", "messages": ODD.replace("a\\/b", "\\ud83d")}])
    [(_, _, error)] = iter_shaped([str(source)])
    assert isinstance(error, RowError)
    assert error.reason == "lone_surrogate"


texts = st.text(max_size=3)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(texts, inside, max_size=3),
    max_leaves=12,
)


def paths_in(value: Any, path: JsonPath = ()) -> list[JsonPath]:
    """The paths of all texts, and of all elements of lists."""
    items = list(enumerate(value)) if isinstance(value, list) else list(value.items()) if isinstance(value, dict) else []
    here = [path] if path and (isinstance(value, str) or isinstance(path[-1], int)) else []
    return [*here, *(found for key, inside in items for found in paths_in(inside, (*path, key)))]


@given(json_values.filter(lambda value: isinstance(value, list | dict)), st.data(), st.booleans(), st.sampled_from([None, 0, 2]))
def test_an_edited_text_holds_the_changed_value(value: Any, data: st.DataObject, ascii_only: bool, indent: int | None) -> None:
    paths = paths_in(value)
    chosen = data.draw(st.lists(st.sampled_from(paths), unique=True, max_size=4)) if paths else []
    changes: Edits = {}
    for path in chosen:
        if not any(path[: len(other)] == other or other[: len(path)] == path for other in changes):
            changes[path] = None if isinstance(path[-1], int) and data.draw(st.booleans()) else data.draw(texts)
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    after = edited(text, changes)
    assert json.loads(after) == changed(value, changes)
    assert edited(text, {}) == text
