"""A real HTTP server on 127.0.0.1 that answers chat requests as a script says, faults included, and remembers what it was asked.

    with ScriptedServer([error(429, "slow down"), Scripted("yes")]) as server:
        ...ask server.base_url...
    assert server.most_at_once <= 4

A script is a list of `Scripted`, whose last one answers all further requests, or a function of the request's JSON and its
number (from 0, in the order of arrival). After the `with` block every socket and thread is gone.
"""

import asyncio
import json
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from asap.lm.rate_limit import Clock


@dataclass(frozen=True)
class Scripted:
    """One answer: a chat completion with `text` (None: null content), or `body` in its place, JSON or raw.

    `message` adds fields to the message, such as reasoning_content. `usage` None: the server tells none. `delay_s` passes before
    anything is sent. Faults: `hang` never answers, `reset` breaks the connection before the answer and `reset_mid_body` within it,
    `drip` sends a byte of the body every 20 ms.
    """

    text: str | None = "ok"
    finish_reason: str | None = "stop"
    usage: tuple[int, int] | None = (10, 5)
    message: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Mapping[str, Any] | None = None
    delay_s: float = 0.0
    fault: Literal["hang", "reset", "reset_mid_body", "drip"] | None = None

    def content(self, model: str) -> bytes:
        """The bytes of the body."""
        if isinstance(self.body, bytes):
            return self.body
        if self.body is not None:
            return json.dumps(self.body).encode()
        choice = {"index": 0, "message": {"role": "assistant", "content": self.text, **self.message}, "finish_reason": self.finish_reason}
        completion: dict[str, Any] = {"id": "c", "object": "chat.completion", "created": 0, "model": model, "choices": [choice]}
        if self.usage:
            prompt, reply = self.usage
            completion["usage"] = {"prompt_tokens": prompt, "completion_tokens": reply, "total_tokens": prompt + reply}
        return json.dumps(completion).encode()


def error(status: int, message: str, code: str | None = None, headers: Mapping[str, str] | None = None) -> Scripted:
    """An error in OpenAI's form."""
    return Scripted(
        status=status, headers=headers or {}, body={"error": {"message": message, "type": "error", "param": None, "code": code}}
    )


Script = Sequence[Scripted] | Callable[[dict[str, Any], int], Scripted]


class ScriptedServer:
    """Serves `/chat/completions` by the script and `/models` with the entries of `models` (None: 404). See the module.

    `pages` holds the texts of further addresses by path.

    `requests` holds the JSON of each chat request, `authorizations` its Authorization header and `paths` what it was sent to, in
    the order of arrival.
    `most_at_once` is how many chat requests waited at the same time at most; one that is being answered waits no longer.
    """

    def __init__(
        self, script: Script, *, models: Sequence[Mapping[str, Any]] | None = None, pages: Mapping[str, str] | None = None
    ) -> None:
        self.script = script
        self.models = models
        self.pages = pages or {}
        self.requests: list[dict[str, Any]] = []
        self.authorizations: list[str | None] = []
        self.paths: list[str] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        self._sockets: set[socket.socket] = set()

    def __enter__(self) -> "ScriptedServer":
        owner = self

        class Server(ThreadingHTTPServer):
            daemon_threads = False
            request_queue_size = 128

            def process_request(self, request: Any, client_address: Any) -> None:
                with owner._lock:
                    owner._sockets.add(request)
                super().process_request(request, client_address)

            def shutdown_request(self, request: Any) -> None:
                with owner._lock:
                    owner._sockets.discard(request)
                super().shutdown_request(request)

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Clients that go away are part of the game."""

        self._server = Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        with self._lock:
            for open_socket in self._sockets:  # wakes the threads that wait for another request
                open_socket.shutdown(socket.SHUT_RD)
        self._server.server_close()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def base_url(self) -> str:
        """What an OpenAI client wants to be told."""
        return f"http://127.0.0.1:{self.port}/v1"

    def arrive(self, request: dict[str, Any], authorization: str | None, path: str) -> Scripted:
        """Records a chat request and says how to answer it."""
        with self._lock:
            number = len(self.requests)
            self.requests.append(request)
            self.authorizations.append(authorization)
            self.paths.append(path)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        return self.script(request, number) if callable(self.script) else self.script[min(number, len(self.script) - 1)]

    def leave(self) -> None:
        """The answer to a chat request begins."""
        with self._lock:
            self._at_once -= 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner: ScriptedServer

    def do_GET(self) -> None:
        if self.path.partition("?")[0].endswith("/models") and self.owner.models is not None:
            self._send(200, json.dumps({"object": "list", "data": list(self.owner.models)}).encode())
        elif (page := self.owner.pages.get(self.path)) is not None:
            self._send(200, page.encode())
        else:
            self._send(404, b'{"error": {"message": "not found"}}')

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        scripted = self.owner.arrive(request, self.headers["Authorization"], self.path)
        try:
            self.owner.stopping.wait(scripted.delay_s) if scripted.delay_s else None
        finally:
            self.owner.leave()
        content = scripted.content(request.get("model", ""))
        if scripted.fault == "hang":
            self._wait_for_client(3600)
        elif scripted.fault == "reset":
            self._reset()
        elif scripted.fault == "reset_mid_body":
            self._start(scripted.status, scripted.headers, len(content))
            self.wfile.write(content[: len(content) // 2])
            time.sleep(0.02)  # so that the half arrives before the reset
            self._reset()
        elif scripted.fault == "drip":
            self._start(scripted.status, scripted.headers, len(content))
            for position in range(len(content)):
                if self._wait_for_client(0.02):
                    break
                self.wfile.write(content[position : position + 1])
        else:
            self._send(scripted.status, content, scripted.headers)

    def _start(self, status: int, headers: Mapping[str, str], length: int) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers, "Content-Length": str(length)}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        self._start(status, headers or {}, len(content))
        self.wfile.write(content)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _wait_for_client(self, seconds: float) -> bool:
        """Waits for so long, or until the client or the server goes away (true)."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self.owner.stopping.is_set() or select.select([self.connection], [], [], min(left, 0.05))[0]:
                self.close_connection = True
                return True
        return False

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""


class VirtualClock(Clock):
    """A clock on which sleeping takes no real time: it jumps to the next moment for which somebody waits.

    What happens on real sockets meanwhile takes no time on it.
    """

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []
        self._wake_at: list[float] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        wake_at = self.time + seconds
        self.slept.append(seconds)
        self._wake_at.append(wake_at)
        try:
            for _ in range(20):  # everybody else goes to sleep first
                await asyncio.sleep(0)
            while self.time < wake_at:
                if wake_at == min(self._wake_at):
                    self.time = wake_at
                await asyncio.sleep(0)
        finally:
            self._wake_at.remove(wake_at)
