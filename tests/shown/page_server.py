"""A server on 127.0.0.1 that stands for any that a page names: it scores, decides stage 1, and writes answers."""

import json
from pathlib import Path
from typing import Any

from golden_server import reply
from logprob_server import LogprobServer
from scripted_server import Scripted

ANSWER = "<think>\nNothing has to be done.\n</think>\n\n```python\ndef nothing():\n    pass\n```"


class PageServer(LogprobServer):
    """The tiny model of a folder, as `tiny`; texts that it writes are scripted."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, context=16384)

    def _answer(self, request: dict[str, Any], number: int) -> Scripted:
        if request.get("stream"):
            return _streamed(request)
        if "messages" in request:
            return Scripted(reply(request["messages"][-1]["content"], 1))
        return super()._answer(request, number)


def _streamed(request: dict[str, Any]) -> Scripted:
    chat = "messages" in request
    begins: dict[str, Any] = {"delta": {"role": "assistant", "content": ANSWER}} if chat else {"text": ANSWER}
    ends: dict[str, Any] = {"delta": {}} if chat else {"text": ""}
    about = {"id": "c", "object": "chat.completion.chunk" if chat else "text_completion", "created": 0, "model": "tiny"}
    usage = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
    chunks = [
        {**about, "choices": [{"index": 0, **begins, "finish_reason": None}]},
        {**about, "choices": [{"index": 0, **ends, "finish_reason": "stop"}]},
        {**about, "choices": [], "usage": usage},
    ]
    lines = [f"data: {one}\n\n" for one in (*map(json.dumps, chunks), "[DONE]")]
    return Scripted(body="".join(lines).encode(), headers={"Content-Type": "text/event-stream"})
