"""Conversations in the formats of training tools, and which of their turns carry the loss."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from agent_rows import ASKED, CALL, CHECK, LATER, PLAN, RESULT, ROWS, SAID_12, TOOLS, thinks, user
from asap.conversation import Conversation
from asap.dataset import Shaped
from asap.dataset.conversations import turns_of
from asap.dataset.formats import FORMATS
from asap.dataset.row_rules import RowRules
from asap.dataset.turn_formats import TrainTurns, check_train_turns, trained, training_rows
from asap.errors import UsageError

THREE = ROWS["tool calls, thinking beside"]
FLAGGED = {"axolotl": "train", "verl": "trainable", "rllm": "trainable"}


def conversation_of(row: Mapping[str, Any]) -> Conversation:
    found = turns_of(row, None, RowRules())
    assert found is not None
    [turn, *_] = [one.sample.turn for one in found if isinstance(one, Shaped)]
    assert turn is not None
    return turn.conversation


def rows_of(row: Mapping[str, Any], name: str, train: TrainTurns = "all") -> list[dict[str, Any]]:
    whole = conversation_of(row)
    shorter = {line.number: f"short {place}" for place, line in enumerate(whole.thinking)}
    return list(training_rows(whole, shorter, name, train))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("form", ROWS)
def test_every_format_has_the_shorter_thinking_and_all_else(name: str, form: str) -> None:
    [row] = rows_of(ROWS[form], name)
    written = json.dumps(row, ensure_ascii=False)
    whole = conversation_of(ROWS[form])
    for place, (line, thought) in enumerate(zip(whole.thinking, (PLAN, CHECK, LATER), strict=False)):
        assert written.count(f"short {place}") == 1
        assert json.dumps(thought)[1:-1] not in written
        assert json.dumps(whole.text(line), ensure_ascii=False)[1:-1] in written
    for other in whole.others:
        assert row[other] == ROWS[form][other]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("form", ROWS)
def test_every_format_is_read_again_with_the_same_turns(name: str, form: str) -> None:
    """Also what stands before each turn, but for the place of the tools in an alpaca row."""
    whole, again = conversation_of(ROWS[form]), conversation_of(rows_of(ROWS[form], name)[0])
    assert [again.cot(line.number) for line in again.thinking] == [f"short {place}" for place in range(len(whole.thinking))]
    if name == "llamafactory":
        return
    for one, other in zip(whole.thinking, again.thinking, strict=True):
        assert again.answer(other.number) == whole.answer(one.number)
        assert (again.system, again.before(other.number).count("Tool:")) == (whole.system, whole.before(one.number).count("Tool:"))


@pytest.mark.parametrize("name", ["trl", "axolotl", "verl"])
def test_messages_that_tools_read_stay_as_they_came(name: str) -> None:
    [row] = rows_of(THREE, name)
    flag = FLAGGED.get(name, "")
    for before, after in zip(THREE["messages"], row["messages"], strict=True):
        shorter = {**before, "reasoning_content": after["reasoning_content"]} if "reasoning_content" in before else before
        assert json.dumps({key: value for key, value in after.items() if key != flag}) == json.dumps(shorter)
    assert row["tools"] == TOOLS


@pytest.mark.parametrize(("name", "flag"), FLAGGED.items())
@pytest.mark.parametrize(
    ("train", "learnt"),
    [("all", [False, False, True, False, True, False, True]), ("thinking", None), ("last", [False] * 6 + [True])],
)
def test_the_flags_tell_which_turns_are_learnt(name: str, flag: str, train: TrainTurns, learnt: list[bool] | None) -> None:
    [row] = rows_of(THREE, name, train)
    assert [message[flag] for message in row["messages"]] == (learnt or [False, False, True, False, True, False, True])


def test_turns_without_thinking_are_learnt_only_with_all() -> None:
    plain = {"role": "assistant", "content": "Which file?"}
    whole = conversation_of({"messages": [user(), plain, user("notes.txt"), SAID_12, user(), plain]})
    assert [trained(whole, train) for train in ("all", "thinking", "last")] == [{1, 3, 5}, {3}, {5}]


@pytest.mark.parametrize("flag", [{"train": False}, {"trainable": False}, {"weight": 0}, {"training": False}])
def test_a_turn_that_its_row_excludes_is_never_learnt(flag: dict[str, Any]) -> None:
    whole = conversation_of({"messages": [user(), {**SAID_12, **flag}, user(), {**SAID_12, **dict.fromkeys(flag, True)}]})
    assert [trained(whole, train) for train in ("all", "thinking", "last")] == [{3}, {3}, {3}]


UNCLOSED = {"role": "assistant", "content": "<think>\nnever closed"}
CUT_OFF = {"role": "assistant", "content": "", "reasoning_content": "I was stopped"}
TWICE = {"role": "assistant", "content": thinks("one", "a"), "reasoning_content": "another"}


@pytest.mark.parametrize("broken", [UNCLOSED, CUT_OFF, TWICE])
def test_a_turn_that_cannot_be_pruned_is_never_learnt(broken: dict[str, Any]) -> None:
    """Its messages stay, as what stood before later turns."""
    row = {"messages": [user(), SAID_12, user(), broken, user(), SAID_12]}
    whole = Conversation.of_stored(json.loads(json.dumps(conversation_of(row).stored())))
    assert [trained(whole, train) for train in ("all", "thinking", "last")] == [{1, 5}, {1, 5}, {5}]
    for name, flag in FLAGGED.items():
        [written] = rows_of(row, name)
        assert [message[flag] for message in written["messages"]] == [False, True, False, False, False, True]
    assert [len(one["prompt"]) for one in rows_of(row, "trl", "thinking")] == [1, 5]
    assert rows_of({"messages": row["messages"][:4]}, "trl", "last") == []


@pytest.mark.parametrize("broken", [UNCLOSED, CUT_OFF, TWICE])
def test_rows_without_flags_end_before_a_turn_that_cannot_be_pruned(broken: dict[str, Any]) -> None:
    row = {"messages": [user(), SAID_12, user(), broken, user(), SAID_12], "tools": TOOLS, "n": 3}
    before = {**row, "messages": row["messages"][:2]}
    for name in ("trl", "sharegpt", "llamafactory"):
        assert rows_of(row, name) == rows_of(before, name)
        assert rows_of({"messages": [user(), broken, user(), SAID_12]}, name) == []


@pytest.mark.parametrize("flag", [{"train": False}, {"weight": 0}, {"weight": 0.0}])
def test_rows_without_flags_end_before_a_turn_that_their_row_excludes(flag: dict[str, Any]) -> None:
    row = {"messages": [user(), SAID_12, user(), {**SAID_12, **flag}, user(), SAID_12], "tools": TOOLS, "n": 3}
    before = {**row, "messages": row["messages"][:2]}
    for name in ("trl", "sharegpt", "llamafactory"):
        assert rows_of(row, name) == rows_of(before, name)
        assert rows_of({"messages": row["messages"][2:]}, name) == []


@pytest.mark.parametrize("name", FORMATS)
def test_messages_that_do_not_think_are_written_to_the_letter(name: str) -> None:
    empty = thinks("", "Which file?")
    [row] = rows_of({"messages": [user(), {"role": "assistant", "content": empty}, user(), SAID_12]}, name)
    assert json.dumps(empty) in json.dumps(row)


def test_calls_that_are_messages_by_their_role_are_calls() -> None:
    """As in ShareGPT's rows with tools."""
    call = {"from": "function_call", "value": '{"name": "wc", "arguments": {"path": "notes.txt"}}'}
    said = [{"from": "human", "value": ASKED}, call, {"from": "observation", "value": "12"}, {"from": "gpt", "value": SAID_12["content"]}]
    whole = conversation_of({"conversations": said, "tools": json.dumps(TOOLS)})
    assert [line.role for line in whole.lines] == ["user", "assistant", "tool", "assistant"]
    assert '<tool_call>\n{"name": "wc", "arguments": {"path": "notes.txt"}}\n</tool_call>' in whole.before(3)
    assert whole.with_thinking({})["conversations"] == said
    [row] = rows_of({"conversations": said}, "trl")
    assert row["messages"][1]["tool_calls"] == [{"type": "function", "function": {"name": "wc", "arguments": {"path": "notes.txt"}}}]


def test_trl_gets_the_whole_conversation_or_a_row_for_each_turn() -> None:
    [whole] = rows_of(THREE, "trl")
    assert list(whole)[:2] == ["messages", "tools"]
    split = rows_of(THREE, "trl", "thinking")
    assert [len(row["prompt"]) for row in split] == [2, 4, 6]
    for row in split:
        assert row["prompt"] + row["completion"] == whole["messages"][: len(row["prompt"]) + 1]
        assert row["tools"] == TOOLS
    assert rows_of(THREE, "trl", "last") == split[-1:]


def test_rllm_gets_parts_and_arguments_as_text() -> None:
    for form in ("content parts, flags", "channels", "items of an API", "tool calls, thinking beside"):
        [row] = rows_of(ROWS[form], "rllm")
        asking = next(message for message in row["messages"] if "tool_calls" in message)
        assert asking["content"][0] == {"type": "thinking", "thinking": "short 0"}
        [call] = asking["tool_calls"]
        assert (call["type"], call["function"]["name"]) == ("function", "wc")
        assert json.loads(call["function"]["arguments"]) == {"path": "notes.txt"}
        assert {key for message in row["messages"] for key in message} <= {
            *("role", "content", "trainable", "tool_calls", "tool_call_id", "name"),
        }


def test_tools_are_text_in_alpaca_rows() -> None:
    row = {"messages": [user(), {"role": "assistant", "content": thinks(PLAN, ""), "tool_calls": CALL}, RESULT, SAID_12, user("Thanks.")]}
    [alpaca] = rows_of({**row, "tools": TOOLS}, "llamafactory")
    assert alpaca["instruction"] == "<tool_response>\n12\n</tool_response>"
    assert alpaca["output"] == thinks("short 1", "It has 12 lines.")
    [[asked, called]] = alpaca["history"]
    assert asked == ASKED
    assert called.startswith(thinks("short 0", "<tool_call>\n"))
    assert alpaca["system"] == f"Tools:\n{json.dumps(TOOLS)}"


def test_flags_that_no_format_holds_are_refused() -> None:
    check_train_turns(None, ["sharegpt"])
    check_train_turns("all", ["sharegpt", "trl"])
    for train, formats in (("last", ["sharegpt"]), ("thinking", ["trl", "llamafactory"]), ("all", []), ("first", ["trl"])):
        with pytest.raises(UsageError):
            check_train_turns(train, formats)
