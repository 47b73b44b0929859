"""A server on 127.0.0.1 that sends bytes as a script says: without an end, one by one, packed, redirected."""

import json
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Script = Callable[[str, "Hostile"], Iterable[bytes]]
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"


@dataclass
class Hostile:
    """Where the server listens, the paths that it was asked for, the bodies that came, and how many bytes it got rid of."""

    port: int = 0
    paths: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    sent: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@contextmanager
def hostile(script: Script, tls: ssl.SSLContext | None = None, *, answers_get: bool = False) -> Iterator[Hostile]:
    """The server, while the block runs. The script is given the path of a POST, or of any request, and yields the whole answer's bytes."""
    state = Hostile()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.answer()

        def answer(self) -> None:
            line = self.rfile.readline().decode()
            length = 0
            for header in iter(self.rfile.readline, b""):
                if header == b"\r\n":
                    break
                length = int(header[15:]) if header.lower().startswith(b"content-length:") else length
            body = self.rfile.read(length)
            path = line.split(" ")[1] if " " in line else ""
            if line.startswith("POST"):
                state.paths.append(path)
                state.bodies.append(body)
            pieces = (
                script(path, state) if answers_get or line.startswith("POST") else [b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]
            )
            for piece in pieces:
                if state.stopping.is_set():
                    return
                self.wfile.write(piece)
                state.sent += len(piece)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = False

        def get_request(self) -> Any:
            request, address = super().get_request()
            return (tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False) if tls else request), address

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that go away are part of the game."""

    with Server(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield state
        finally:
            state.stopping.set()
            server.shutdown()
            thread.join()


def event(text: str | None, **fields: Any) -> bytes:
    """A chunk of a stream."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None, **fields}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def redirect(status: int, to: str) -> list[bytes]:
    """The answer that names another address."""
    return [f"HTTP/1.1 {status} Elsewhere\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()]


def completion(text: str, **fields: Any) -> list[bytes]:
    """A whole answer in one piece."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    return [JSON, json.dumps({"choices": [choice], "usage": usage, **fields}).encode()]
