"""A real HTTP server that streams scripted texts as vLLM does, and small problems."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from asap.benchmarks.load import Benchmark
from asap.benchmarks.problem import Calls, Problem, Program, Stdin
from asap.evaluate.writing import write_all
from asap.lm.generate import Generator, Request
from asap.lm.rate_limit import Clock

FENCE = "```"

DOUBLE = Problem(
    "double",
    "Double x.",
    "def double(x):\n",
    Program("def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(-1) == -2\n", "double"),
    ["def double(x):\n    return x + x\n"],
)
NEGATE = Problem("negate", "Negate x.", None, Calls("negate", [[1], [-5]], [-1, 5], lambda arguments, output, expected: output == expected))
ECHO = Problem("echo", "Say it again.", None, Stdin(["a\n"], ["a"], lambda output, expected: output.strip() == expected))
RIGHT = {"double": "def double(x):\n    return 2 * x\n", "negate": "def negate(x):\n    return -x\n", "echo": "print(input())\n"}
WRONG = {"double": "def double(x):\n    return x\n", "negate": "def negate(x):\n    return x\n", "echo": "print(1)\n"}

OWN = {
    "prompt": "def f(x):\n",
    "entry_point": "f",
    "test": "def check(candidate):\n    assert candidate(1) == 2\n",
    "canonical_solution": "    return x + 1\n",
}


def benchmark(*problems: Problem, name: str = "small") -> Benchmark:
    return Benchmark(name, problems or (DOUBLE, NEGATE, ECHO), "files", "wording")


def answer(code: str) -> str:
    return f"{FENCE}python\n{code}{FENCE}"


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


class NoWait(Clock):
    """A clock on which pauses between tries take no time."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


def write(model: Generator, requests: Mapping[str, Request]) -> dict[str, SimpleNamespace]:
    """The rows of the answers by key."""
    found = dict[str, SimpleNamespace]()
    asyncio.run(write_all(model, requests, lambda key, row: found.__setitem__(key, SimpleNamespace(**row))))
    return found


@dataclass
class Streamed:
    """One scripted answer: its pieces, an error status, or a `body` in one piece; `thoughts` come before, in a field of their own."""

    pieces: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    finish_reason: str | None = "stop"
    status: int = 200
    message: str = ""
    body: dict[str, Any] | None = None


Script = Callable[[str, dict[str, Any]], Streamed]


def name_of(body: dict[str, Any]) -> str:
    return "double" if "Double" in body["messages"][0]["content"] else "negate"


def right(path: str, body: dict[str, Any]) -> Streamed:
    return Streamed(["<think>", "hm", "</think>", answer(RIGHT[name_of(body)])])


@dataclass
class Streaming:
    """Where the server listens, and every request that it got: path and JSON."""

    base_url: str = ""
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0


@contextmanager
def streaming(script: Script) -> Iterator[Streaming]:  # noqa: C901 - a handler is a class inside
    """The server, while the block runs."""
    state, lock = Streaming(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.whole(
                200, {"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 1000}]} if "models" in self.path else {"version": "9"}
            )

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                state.requests.append((self.path, body))
                state.at_once += 1
                state.most_at_once = max(state.most_at_once, state.at_once)
            try:
                answered = script(self.path, body)
                if answered.body is not None:
                    self.whole(200, answered.body)
                elif answered.status != 200:
                    self.whole(answered.status, {"error": {"message": answered.message}})
                else:
                    self.stream(answered, chat="chat" in self.path)
            finally:
                with lock:
                    state.at_once -= 1

        def whole(self, status: int, value: object) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def stream(self, answered: Streamed, chat: bool) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            self.close_connection = True
            for thought in answered.thoughts:
                self.event([{"index": 0, "delta": {"reasoning_content": thought}, "finish_reason": None}])
            for piece in answered.pieces:
                self.event([{"index": 0, **({"delta": {"content": piece}} if chat else {"text": piece}), "finish_reason": None}])
            if answered.finish_reason is not None:
                self.event([{"index": 0, **({"delta": {}} if chat else {"text": ""}), "finish_reason": answered.finish_reason}])
                total = len(answered.pieces) + len(answered.thoughts)
                self.event([], usage={"prompt_tokens": 7, "completion_tokens": total, "total_tokens": 7 + total})
                self.wfile.write(b"data: [DONE]\n\n")

        def event(self, choices: list[dict[str, Any]], **more: Any) -> None:
            chunk = {"id": "c", "object": "x", "created": 0, "model": "m", "choices": choices, **more}
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.base_url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
