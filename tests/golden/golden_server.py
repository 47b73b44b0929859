"""A server on 127.0.0.1 that speaks enough of OpenAI's protocol for the golden runs; what it replies follows from what it is asked."""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def reply(prompt: str, asked_before: int) -> str:
    """What a patient model would say; about some rows it says nothing useful, always or only when it is asked first."""
    if "how the answer is derived" in prompt:
        return "1. Read the question.\n2. Do what it asks for.\n3. Give the answer."
    if "are shown" in prompt:
        return _selection(prompt, asked_before)
    if "Copy each kept paragraph exactly" in prompt:
        return _rewriting(prompt, asked_before)
    return _program(int(re.findall(r"def times_(\d)", prompt)[-1]))


def _program(factor: int) -> str:
    """An answer to a problem of golden_inputs.py: wrong for 3, none for 0."""
    code = f"```python\ndef times_{factor}(value):\n    return value * {min(factor, 2)}\n```" if factor else "I cannot do that."
    return f"<think>\nThe value, {factor} times.\n</think>\n\n{code}"


def _selection(prompt: str, asked_before: int) -> str:
    count = int(re.findall(r"The trace has (\d+) steps", prompt)[-1])
    if "prime number" in prompt:
        return "I would rather not."
    if "1.5 hours" in prompt and not asked_before:
        return json.dumps({"keep": ["1", str(count + 70)]})
    return json.dumps({"keep": ["1", *(str(step) for step in range(2, count, 2)), str(count)]})


def _rewriting(prompt: str, asked_before: int) -> str:
    begin, end = re.findall(r"the first line of your reply is (\S+) and the last line is (\S+)", prompt)[-1]
    trace = prompt[prompt.index(begin) + len(begin) : prompt.index(end)]
    paragraphs = [part for part in re.split(r"\n\s*\n", trace.strip()) if part.strip()]
    if "prime number" in prompt:
        return "\n\n".join(reversed(paragraphs))
    if "1.5 hours" in prompt and not asked_before:
        return paragraphs[0]
    kept = [part.replace("So ", "Therefore ").replace("the ", "the ") for part in [*paragraphs[:1], *paragraphs[2::2], paragraphs[-1]]]
    return f"{begin}\n" + "\n\n".join(dict.fromkeys(kept)) + f"\n{end}"


@contextmanager
def llm_server(port: int = 0, *, forgets: bool = False) -> Iterator[str]:
    """The address of a server that runs meanwhile; `forgets`: it replies to the first question as to all others."""
    asked = Counter[str]()
    server = ThreadingHTTPServer(
        ("127.0.0.1", port), type("Handler", (_Handler,), {"asked": asked, "forgets": forgets, "lock": threading.Lock()})
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    server.daemon_threads = True
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"  # one request for each connection, so that nothing is left open
    asked: Counter[str]
    forgets: bool
    lock: threading.Lock

    def do_GET(self) -> None:
        self._send({"object": "list", "data": [{"id": "scripted", "object": "model", "max_model_len": 8192}]})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.path.endswith("/chat/completions"):
            self.send_error(404)
            return
        prompt = request["messages"][-1]["content"]
        with self.lock:
            text = reply(prompt, 1 if self.forgets else self.asked[prompt])
            self.asked[prompt] += 1
        usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(text.split())}
        usage["total_tokens"] = sum(usage.values())
        if request.get("stream"):
            self._stream(request, text, usage)
        else:
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            self._send({"id": "c", "object": "chat.completion", "created": 0, "model": "scripted", "choices": [choice], "usage": usage})

    def _stream(self, request: Mapping[str, Any], text: str, usage: Mapping[str, int]) -> None:
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "scripted"}
        deltas = [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}]
        ends = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
        chunks = [{**chunk, "choices": deltas}, {**chunk, "choices": ends}, {**chunk, "choices": [], "usage": usage}]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for one in [*(json.dumps(one) for one in chunks), "[DONE]"]:
            self.wfile.write(f"data: {one}\n\n".encode())

    def _send(self, body: Mapping[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""
