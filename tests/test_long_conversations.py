"""What stands before each turn of a long conversation: each message is rendered once, not once for every later turn."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from asap.conversation import Conversation, Line, TurnOf
from asap.dataset.conversations import turns_of
from asap.dataset.row_rules import RowRules
from asap.review.texts import size_of, text_of_trace, title_of
from asap.sample import Sample


def conversation_of(turns: int) -> Conversation:
    messages = [{"role": "system", "content": "Be short."}]
    for number in range(turns):
        messages += [
            {"role": "user", "content": f"Question {number}?"},
            {"role": "assistant", "content": f"<think>\nThought {number}.\n</think>\nAnswer {number}."},
        ]
    [first, *_] = turns_of({"id": "c", "messages": messages}, None, RowRules()) or []
    sample: Any = first
    found: Conversation = sample.sample.turn.conversation
    return found


def test_each_message_is_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    conversation, rendered, said = replace(conversation_of(60)), Counter[int](), Conversation.said

    def counted(self: Conversation, line: Line) -> str:
        rendered[line.number] += 1
        return said(self, line)

    monkeypatch.setattr(Conversation, "said", counted)
    texts = [conversation.before(line.number) for line in conversation.thinking]
    assert texts[0] == "Question 0?"
    assert texts[2] == ("User:\nQuestion 0?\n\nAssistant:\nAnswer 0.\n\nUser:\nQuestion 1?\n\nAssistant:\nAnswer 1.\n\nUser:\nQuestion 2?")
    assert all(text.startswith(before) for before, text in pairwise(texts[1:]))
    assert set(rendered.values()) == {1}


def test_the_page_shows_the_last_messages_before_a_turn() -> None:
    conversation = conversation_of(60)
    turns = [Sample.of_turn(TurnOf(conversation, line.number)) for line in conversation.thinking]
    assert [role for role, _ in text_of_trace(turns[2], [None])["before"]] == ["system", *["user", "assistant"] * 2, "user"]
    first, *messages = text_of_trace(turns[-1], [None])["before"]
    assert first == ("earlier", "70 earlier messages are not on this page")
    assert (len(messages), messages[-1]) == (50, ("user", "Question 59?"))
    assert title_of(turns[-1]) == "Question 59?"
    assert size_of(turns[-1]) < 1.2 * size_of(turns[30]), "as many of its turns fit on the page however long the conversation is"
