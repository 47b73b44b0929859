"""Streams are put together to what would have come in one piece."""

import json
from typing import Any

import pytest

from asap.lm.generate import Generation
from asap.lm.response import CUT_SHORT, Streamed, read_generation


def event(*choices: dict[str, Any], **more: Any) -> bytes:
    return b"data: " + json.dumps({"choices": list(choices), **more}, ensure_ascii=False).encode() + b"\n\n"


CHAT = [
    event({"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}),
    event({"index": 0, "delta": {"reasoning_content": "h\u2028m"}, "finish_reason": None}),
    event({"index": 0, "delta": {"content": "y\x85e"}, "finish_reason": None}),
    event({"index": 0, "delta": {"content": "s"}, "finish_reason": "stop"}),
    event(usage={"prompt_tokens": 7, "completion_tokens": 3}),
    b": a comment\r\n\r\ndata: [DONE]\n\n",
]


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
def test_pieces_of_any_size_give_the_same_text(size: int) -> None:
    streamed, data = Streamed(100), b"".join(CHAT)
    brought = [streamed.feed(data[start : start + size]) for start in range(0, len(data), size)]
    assert any(brought)
    assert read_generation(streamed.content(), 99, None) == Generation("y\x85es", "stop", 7, 3, thought="h\u2028m")


def test_the_first_text_is_noticed() -> None:
    streamed = Streamed(100)
    assert [streamed.feed(data) for data in CHAT] == [False, True, True, True, False, False]


def test_a_plain_completion_is_text_and_is_counted_where_no_usage_comes() -> None:
    streamed = Streamed(100)
    streamed.feed(event({"text": "x" * 30}) + event({"text": "x" * 5, "finish_reason": "length"}))
    assert read_generation(streamed.content(), 9, None) == Generation("x" * 35, "length", 9, 10, counted_here=True)


@pytest.mark.parametrize("data", [b"", CHAT[2], CHAT[2] + b'data: {"choi', CHAT[2] + b"data: 7\n\ndata: {not json\n\n"])
def test_a_stream_without_an_end_says_so(data: bytes) -> None:
    streamed = Streamed(100)
    streamed.feed(data)
    found = read_generation(streamed.content(), 9, None)
    assert found is not None
    assert found.finish_reason == CUT_SHORT


def test_an_error_in_the_stream_is_no_generation() -> None:
    streamed = Streamed(100)
    streamed.feed(CHAT[2] + b'data: {"error": {"message": "upstream", "code": 502}}\n\n')
    assert read_generation(streamed.content(), 9, None) is None
    assert b"upstream" in streamed.content()
