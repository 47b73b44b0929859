"""A real server on 127.0.0.1 that takes batches as OpenAI does, and answers their lines by a script when it has been asked often enough."""

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lm.scripted_server import Scripted

Script = Callable[[dict[str, Any]], Scripted | None]


class BatchServer:
    """`script` answers the body of a line (None: the batch comes back without it). A batch is done at its `polls`-th question.

    `batches` holds what was handed in, by id: the lines and how often was asked. `ends` is how batches end ("completed", "expired",
    "failed"), one after the other, the last one for all that follow.
    """

    def __init__(self, script: Script, *, polls: int = 2, ends: tuple[str, ...] = ("completed",)) -> None:
        self.script, self.polls, self.ends = script, polls, ends
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.lock = threading.Lock()

    def __enter__(self) -> "BatchServer":
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def lines(self) -> list[dict[str, Any]]:
        """All lines that were handed in, in all batches."""
        return [line for batch in self.batches.values() for line in batch["lines"]]

    def create(self, asked: dict[str, Any]) -> dict[str, Any]:
        lines = [json.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
        batch_id = f"batch_{len(self.batches)}"
        end = self.ends[min(len(self.batches), len(self.ends) - 1)]
        self.batches[batch_id] = {"lines": lines, "asked": 0, "end": end, "metadata": asked.get("metadata"), "file": asked["input_file_id"]}
        return self.show(batch_id)

    def show(self, batch_id: str) -> dict[str, Any]:
        batch = self.batches[batch_id]
        done = batch["asked"] >= self.polls
        shown = {
            "id": batch_id,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "input_file_id": batch["file"],
            "completion_window": "24h",
            "created_at": 0,
            "status": batch["end"] if done else "in_progress",
            "metadata": batch["metadata"],
            "request_counts": {"total": len(batch["lines"]), "completed": 0, "failed": 0},
        }
        if done and batch["end"] == "failed":
            shown["errors"] = {
                "object": "list",
                "data": [{"code": "x", "message": "not to our liking", "line": 1, "param": None}],
            }
        elif done:
            shown["output_file_id"], shown["error_file_id"] = self.answer(batch_id)
        return shown

    def answer(self, batch_id: str) -> tuple[str | None, str | None]:
        out: list[bytes] = []
        errors: list[bytes] = []
        for line in reversed(self.batches[batch_id]["lines"]):  # no order is promised
            scripted = self.script(line["body"])
            if scripted is None:
                continue
            response = {"status_code": scripted.status, "request_id": "r", "body": json.loads(scripted.content("m"))}
            row = {"id": "x", "custom_id": line["custom_id"], "response": response, "error": None}
            (out if scripted.status < 300 else errors).append(json.dumps(row).encode())
        names: list[str | None] = []
        for kind, rows in (("out", out), ("errors", errors)):
            names.append(f"{batch_id}-{kind}" if rows else None)
            if rows:
                self.files[f"{batch_id}-{kind}"] = b"\n".join(rows) + b"\n"
        return names[0], names[1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: BatchServer

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        with self.owner.lock:
            if found := re.search(r"/files/([^/]+)/content$", path):
                self._send(self.owner.files[found[1]])
            elif found := re.search(r"/batches/([^/]+)$", path):
                if found[1] not in self.owner.batches:
                    self._send({"error": {"message": "no such batch"}}, 404)
                    return
                self.owner.batches[found[1]]["asked"] += 1
                self._send(self.owner.show(found[1]))
            elif path.endswith("/batches"):
                data = [self.owner.show(batch_id) for batch_id in reversed(self.owner.batches)]
                self._send({"object": "list", "data": data, "has_more": False})
            else:
                self._send({"error": {"message": "not found"}}, 404)

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        with self.owner.lock:
            if self.path.endswith("/files"):
                boundary = b"--" + self.headers["Content-Type"].partition("boundary=")[2].encode()
                part = next(part for part in content.split(boundary) if b'name="file"' in part)
                file_id = f"file_{len(self.owner.files)}"
                self.owner.files[file_id] = part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
                self._send({"id": file_id, "object": "file", "bytes": 1, "created_at": 0, "filename": "f", "purpose": "batch"})
            elif self.path.endswith("/batches"):
                self._send(self.owner.create(json.loads(content)))
            else:
                self._send({"error": {"message": "not found"}}, 404)

    def _send(self, value: Any, status: int = 200) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""
