"""In which settings two runs differ, said as people write settings."""

from typing import Any

import pytest

from asap.json_values import told_apart


@pytest.mark.parametrize(
    ("there", "here", "said"),
    [
        ({"a": {"x": 1, "y": 2}}, {"a": {"x": 1, "y": 3, "z": None}}, "a.y is 2 there and 3 here"),
        ({"a": {"x": {"y": True}}}, {"a": {"x": {}}}, "a.x.y is true there and nothing here"),
        ({"columns": None}, {"columns": {"question": "q", "answer": "r"}}, "columns is nothing there and question=q,answer=r here"),
        ({"sources": ["a.jsonl"]}, {"sources": ["a.jsonl", "b.jsonl"]}, "sources is a.jsonl there and a.jsonl,b.jsonl here"),
        ({"a": None}, {"a": ""}, 'a is null there and "" here'),
        ({"a": 4}, {"a": "4"}, 'a is 4 there and "4" here'),
        ({"a": "x" * 200}, {"a": False}, f"a is {'x' * 119}… there and false here"),
        ({"a": {"x": None}}, {"a": {}}, "a"),
        ({"a": 1, "b": 2}, {"a": 2, "b": 3}, "a is 1 there and 2 here; b is 2 there and 3 here"),
    ],
)
def test_what_differs_is_said_as_it_is_written(there: dict[str, Any], here: dict[str, Any], said: str) -> None:
    assert told_apart(there, here, there) == said
