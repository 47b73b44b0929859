"""A Hub on 127.0.0.1 for the real client: data set repositories with commits, uploads of large files, and failures as scripted."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LARGE = 10_000_000
"""Files of more bytes are uploaded apart from the commit."""


@dataclass
class Repository:
    """One data set on the Hub."""

    private: bool
    titles: list[str] = field(default_factory=lambda: ["initial commit"])
    files: dict[str, bytes] = field(default_factory=lambda: {".gitattributes": b""})

    @property
    def sha(self) -> str:
        return hashlib.sha1("\n".join(self.titles).encode()).hexdigest()


@dataclass
class Hub:
    """What the server knows, and what it was asked."""

    url: str = ""
    token: str = "hf_the_right_one"
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    failures: dict[str, list[int]] = field(default_factory=dict)
    """Statuses to answer requests with whose path holds a text, one after the other; 0: no answer for a second."""
    says: str = "scripted"
    meanwhile: str | None = None
    """The title of a commit that somebody makes while files are uploaded."""


@contextmanager
def scripted_hub() -> Iterator[Hub]:
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def _answer(self, verb: str) -> None:
        body = self._body()
        path = self.path.partition("?")[0]
        self.hub.asked.append(f"{verb} {path}")
        for text, statuses in self.hub.failures.items():
            if text in path and statuses:
                if (status := statuses.pop(0)) == 0:
                    time.sleep(1)
                    self.close_connection = True
                    return
                self._say(status, {"error": f"{self.hub.says} {status}"})
                return
        if not path.startswith("/large/") and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._say(401, {"error": "Invalid username or password."})
            return
        self._route(verb, path, body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _route(self, verb: str, path: str, body: bytes) -> None:
        parts = path.strip("/").split("/")
        if path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":
            wrong = "license: no-such-licence" in json.loads(body)["content"]
            errors = [{"message": '"license" must be one of [apache-2.0, mit, other]'}] if wrong else []
            self._say(400 if wrong else 200, {"errors": errors, "warnings": []})
        elif parts[0] == "large":
            if verb == "PUT":
                self.hub.large[parts[1]] = body
            self._say(200, {})
        elif path.endswith(".git/info/lfs/objects/batch"):
            self._say(200, {"transfer": "basic", "objects": [self._object(one) for one in json.loads(body)["objects"]]})
        else:
            self._about(self.hub.repositories.get("/".join(parts[2:4])), parts[2:], body)

    def _about(self, repository: Repository | None, parts: list[str], body: bytes) -> None:
        name = "/".join(parts[:2])
        if repository is None:
            self._say(404, {"error": "Repository not found"}, code="RepoNotFound")
        elif len(parts) == 2:
            siblings = [{"rfilename": file} for file in repository.files]
            self._say(200, {"id": name, "sha": repository.sha, "private": repository.private, "siblings": siblings})
        elif parts[2] == "commits":
            about = {"id": repository.sha, "message": "", "authors": [], "date": _DATE}
            listed = [{**about, "title": title} for title in repository.titles[::-1]]
            self._say(200, listed)
        elif parts[2] == "preupload":
            if self.hub.meanwhile is not None:
                repository.titles.append(self.hub.meanwhile)
            self._say(200, {"files": [self._mode(one) for one in json.loads(body)["files"]]})
        else:
            self._commit(name, repository, [json.loads(line) for line in body.splitlines()])

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        private = asked.get("private", asked.get("visibility") == "private")
        self.hub.repositories[name] = Repository(private=private)
        self._say(200, {"url": f"{self.hub.url}/datasets/{name}"})

    def _mode(self, file: dict[str, Any]) -> dict[str, Any]:
        return {"path": file["path"], "uploadMode": "lfs" if file["size"] > LARGE else "regular", "shouldIgnore": False}

    def _object(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["oid"] in self.hub.large:
            return asked
        return {**asked, "actions": {"upload": {"href": f"{self.hub.url}/large/{asked['oid']}"}}}

    def _commit(self, name: str, repository: Repository, lines: list[dict[str, Any]]) -> None:
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, repository.sha):
            self._say(412, {"error": "A commit has happened since. Please refresh and try again."})
            return
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                repository.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repository.files[value["path"]] = self.hub.large[value["oid"]]
            else:
                del repository.files[value["path"]]
        repository.titles.append(header["summary"])
        self._say(200, {"commitUrl": f"{self.hub.url}/datasets/{name}/commit/{repository.sha}", "commitOid": repository.sha})

    def _say(self, status: int, answer: object, code: str | None = None) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


_DATE = "2026-01-01T00:00:00.000Z"
