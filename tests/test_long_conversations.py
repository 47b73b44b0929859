"""What stands before each turn of a long conversation: each message is rendered once, not once for every later turn."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from asap.conversation import Conversation, Line
from asap.dataset.conversations import turns_of
from asap.dataset.row_rules import RowRules


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
