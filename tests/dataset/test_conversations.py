"""Rows of several turns: which turns think, what stands before each, and what is written again."""

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_rows import AGAIN, ASKED, CALL, CHECK, LATER, PLAN, RESULT, ROWS, SAID_12, TOOLS, thinks, user
from asap.conversation import Conversation, TurnOf
from asap.dataset import RejectedTurn, Shaped, iter_shaped, read_samples, to_sample
from asap.dataset.conversations import turns_of
from asap.dataset.row_rules import RowRules
from asap.errors import RowError
from asap.sample import Sample, make_sample

CALLED = '<tool_call>\n{"name": "wc", "arguments": {"path": "notes.txt"}}\n</tool_call>'


def turns(row: Mapping[str, Any], rules: RowRules | None = None) -> list[Shaped | RowError]:
    found = turns_of(row, None, rules or RowRules())
    assert found is not None
    return list(found)


def samples(row: Mapping[str, Any], rules: RowRules | None = None) -> list[Sample]:
    return [found.sample for found in turns(row, rules) if isinstance(found, Shaped)]


def conversation_of(row: Mapping[str, Any]) -> Conversation:
    turn = samples(row)[0].turn
    assert turn is not None
    return turn.conversation


def write(path: Path, *rows: Any) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def changed(value: Any, change: Callable[[str], str]) -> Any:
    """A copy of JSON with every text changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [changed(one, change) for one in value]
    return {name: changed(one, change) for name, one in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("name", ROWS)
def test_each_turn_that_thinks_is_a_sample(name: str) -> None:
    found = samples(ROWS[name])
    assert [sample.cot for sample in found] == [PLAN, CHECK, LATER][: len(found)]
    assert len(found) == (3 if "beside" in name else 2)
    whole = conversation_of(ROWS[name])
    assert [sample.id for sample in found] == [f"{whole.id}@{line.number}" for line in whole.thinking]


@pytest.mark.parametrize("name", ROWS)
def test_only_the_thinking_is_written_anew(name: str) -> None:
    """Checked without our own paths: each thought stands in the row's texts once, and only there do the two rows differ."""
    before, whole = copy.deepcopy(ROWS[name]), conversation_of(ROWS[name])
    thoughts = {line.number: f"short {line.number}" for line in whole.thinking}
    shorter = dict(zip((PLAN, CHECK, LATER), thoughts.values(), strict=False))

    def shortened(text: str) -> str:
        for old, new in shorter.items():
            text = text.replace(old, new)
        return text

    after = whole.with_thinking(thoughts)
    assert json.dumps(after) == json.dumps(changed(before, shortened))
    assert json.dumps(ROWS[name]) == json.dumps(before)  # the row itself is as it was
    assert json.dumps(whole.with_thinking({line.number: whole.cot(line.number) for line in whole.thinking})) == json.dumps(before)
    assert json.dumps(whole.with_thinking({})) == json.dumps(before)


@pytest.mark.parametrize("name", ROWS)
def test_what_is_written_is_read_again(name: str) -> None:
    whole = conversation_of(ROWS[name])
    shorter = {line.number: f"short\n\n{line.number}" for line in whole.thinking}
    again = samples(whole.with_thinking(shorter))
    assert [sample.cot for sample in again] == list(shorter.values())
    assert [sample.answer for sample in again] == [sample.answer for sample in samples(ROWS[name])]


@pytest.mark.parametrize("name", ROWS)
def test_a_stored_conversation_is_the_same(name: str) -> None:
    whole = conversation_of(ROWS[name])
    again = Conversation.of_stored(json.loads(json.dumps(whole.stored())))
    for line in whole.thinking:
        assert Sample.of_turn(TurnOf(again, line.number)) == Sample.of_turn(TurnOf(whole, line.number))
    assert json.dumps(again.with_thinking({})) == json.dumps(whole.with_thinking({}))


def test_the_context_is_what_the_model_saw() -> None:
    """Thinking counts since the last user message, as in chat templates; the tools come first, the system message stays apart."""
    first, second, third = samples(ROWS["tool calls, thinking beside"])
    tools = f"Tools:\n{json.dumps(TOOLS)}"
    assert {sample.system for sample in (first, second, third)} == {"Use the tools."}
    assert first.question == f"{tools}\n\nUser:\n{ASKED}"
    assert second.question == f"{first.question}\n\nAssistant:\n{thinks(PLAN, CALLED)}\n\nTool:\n12"
    without = f"{first.question}\n\nAssistant:\n{CALLED}\n\nTool:\n12\n\nAssistant:\nIt has 12 lines.\n\nUser:\n{AGAIN}"
    assert third.question == without
    assert [sample.answer for sample in (first, second, third)] == [CALLED, "It has 12 lines.", "I do not know."]


def test_the_answer_of_a_turn_is_what_it_says_and_calls() -> None:
    row = {"messages": [user(), {"role": "assistant", "content": thinks(PLAN, "I ask.\n"), "tool_calls": CALL}, RESULT]}
    assert [sample.answer for sample in samples(row)] == [f"I ask.\n{CALLED}"]


def test_arguments_that_are_nested_too_deeply_to_decode_stay_text() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    call = {"function": {"name": "wc", "arguments": deep}}
    row = {"messages": [user(), {"role": "assistant", "content": thinks(PLAN, ""), "tool_calls": [call]}, RESULT]}
    assert [sample.answer for sample in samples(row)] == [f'<tool_call>\n{{"name": "wc", "arguments": "{deep}"}}\n</tool_call>']


texts = st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(lambda text: text.strip() == text and "<" not in text)


@given(question=texts, cot=texts, answer=texts, beside=st.booleans())
def test_a_conversation_of_one_exchange_is_the_same_sample(question: str, cot: str, answer: str, beside: bool) -> None:
    """With a flag, which makes it a conversation; so the same scores and the same decision."""
    said = {"content": answer, "reasoning_content": cot} if beside else {"content": thinks(cot, answer)}
    row = {"messages": [user(question), {"role": "assistant", **said, "train": True}]}
    alone = make_sample(question, cot, answer)
    for sample in samples(row):
        assert (sample.digest(), sample.messages) == (alone.digest(), alone.messages)


def test_a_row_of_one_exchange_is_no_conversation() -> None:
    for row in (
        {"messages": [user(), SAID_12]},
        {"messages": [user(), SAID_12], "tools": []},
        {"messages": [user(), SAID_12], "tools": "[]"},
        {"messages": [{"role": "system", "content": "s"}, user(), {**SAID_12, "tool_calls": None}]},
        {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": thinks("a", "b")}]},
        {"prompt": [user()], "completion": [SAID_12]},
        {"instruction": "q", "output": thinks("a", "b"), "history": []},
        {"question": "q", "cot": "c", "answer": "a", "tools": TOOLS},
        {"anything": 1},
    ):
        assert turns_of(row, None, RowRules()) is None


def test_roles_of_all_names_are_read() -> None:
    for ask, answer in (("human", "model"), ("User", "Assistant"), ("user", "bot"), ("HUMAN", "ChatGPT")):
        sample = to_sample({"messages": [{"role": ask, "content": "q"}, {"role": answer, "content": thinks("t", "a")}]}).sample
        assert (sample.question, sample.cot, sample.answer) == ("q", "t", "a")


def test_a_turn_that_cannot_be_read_is_rejected_and_the_others_are_not() -> None:
    broken = {"role": "assistant", "content": "<think>\nnever closed"}
    row = {"id": "a", "messages": [user(), broken, user(), SAID_12, user(), {"role": "assistant", "content": thinks(PLAN, "")}]}
    unclosed, good, silent = turns(row)
    assert isinstance(unclosed, RejectedTurn)
    assert (unclosed.reason, unclosed.row_id) == ("unclosed_think", "a@1")
    assert isinstance(good, Shaped)
    assert good.sample.id == "a@3"
    assert isinstance(silent, RejectedTurn)
    assert (silent.reason, silent.row_id) == ("empty_answer", "a@5")
    assert "never closed" in good.sample.question


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"messages": [user(), {"role": "assistant", "content": "a"}, user(), {"role": "assistant", "content": "b"}]}, "no_think"),
        ({"messages": [user(), user()]}, "no_answer"),
        ({"messages": [user(), RESULT, {"role": "nobody", "content": "x"}, SAID_12]}, "unknown_role"),
        ({"messages": [user(), RESULT, {"role": "user", "content": 3}, SAID_12]}, "wrong_type"),
        ({"messages": [user(), RESULT, {"role": "user", "content": [{"type": "image_url"}]}, SAID_12]}, "not_text"),
        ({"messages": [user(), RESULT, {**SAID_12, "x": "\ud800"}]}, "lone_surrogate"),
        ({"history": [["only one"]], "instruction": "q", "output": thinks("a", "b")}, "wrong_type"),
        ({"messages": [user(), RESULT, {"role": "assistant", "channel": "analysis", "content": "hm"}]}, "empty_answer"),
    ],
)
def test_a_conversation_that_cannot_be_used_has_a_reason(row: Mapping[str, Any], reason: str) -> None:
    with pytest.raises(RowError) as caught:
        turns({"id": 7, **row})
    assert (caught.value.reason, caught.value.row_id) == (reason, "7")


def test_the_same_thought_in_several_places_is_shortened_in_all() -> None:
    both = {
        "role": "assistant",
        "content": thinks(PLAN, "12"),
        "reasoning": PLAN,
        "reasoning_details": [{"type": "reasoning.text", "text": PLAN}],
    }
    whole = conversation_of({"messages": [user(), both, user(), SAID_12]})
    assert PLAN.split("\n")[0] not in json.dumps(whole.with_thinking({1: "short"}))


def test_a_thought_in_several_parts_becomes_one() -> None:
    parts = [{"type": "thinking", "thinking": "a"}, {"type": "thinking", "thinking": "b"}, {"type": "text", "text": "c"}]
    whole = conversation_of({"messages": [user(), {"role": "assistant", "content": parts}, user(), SAID_12]})
    assert whole.cot(1) == "a\n\nb"
    assert whole.with_thinking({1: "a"})["messages"][1]["content"] == [parts[0], parts[2]]


def test_system_messages_can_be_left_out() -> None:
    found = samples(ROWS["tool calls, thinking beside"], RowRules(drop_system=True))
    assert {sample.system for sample in found} == {None}
    assert found[0].turn is not None
    assert "Use the tools." not in json.dumps(found[0].turn.conversation.with_thinking({}))


def test_the_limit_counts_rows_and_not_turns(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", *ROWS.values())
    found = list(iter_shaped([source, source], limit=2))
    assert [line for _, line, _ in found] == [1, 1, 1, 2, 2]
    assert len(list(iter_shaped([source, source], limit=len(ROWS) + 1))) == len(list(iter_shaped([source]))) + 3
    assert list(iter_shaped([source], limit=0)) == []
    assert len(list(read_samples(source))) == 2 * len(ROWS) + 1
