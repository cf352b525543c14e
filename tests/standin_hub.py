"""A stand-in for the hub of Hugging Face: as much of its HTTP interface as publishing and fetching a model need."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_of_a_test"


@dataclass
class Repository:
    private: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    commits: int = 0

    @property
    def sha(self) -> str:
        listed = json.dumps({name: hashlib.sha1(content).hexdigest() for name, content in self.files.items()})
        return hashlib.sha1(listed.encode()).hexdigest()


class Hub:
    """``repositories`` by name, and ``fetched``: the files that were asked for. What it ``refuses`` with."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.fetched: list[str] = []
        self.refuses = ""
        self.address = ""

    @contextmanager
    def serving(self) -> Iterator["Hub"]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


def talk_to(address: str, monkeypatch: Any) -> None:
    """The hub is at this address for the rest of a test."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.path == "/":
            return self.answer({})
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/(\w+)/(.+)", self.path):
            return self.file(found[1], found[3])
        found = re.fullmatch(r"/api/models/([^/]+/[^/?]+)(?:/(revision|tree)/(\w+))?(?:\?.*)?", self.path)
        repository = self.readable(found[1]) if found else None
        if found is None or repository is None:
            return self.answer({"error": "Repository not found"}, 404, **{"X-Error-Code": "RepoNotFound"})
        listed = [
            {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
            for name, content in repository.files.items()
        ]
        if found[2] == "tree":
            return self.answer(listed)
        siblings = [{"rfilename": it["path"]} for it in listed]
        self.answer({"id": found[1], "sha": repository.sha, "private": repository.private, "siblings": siblings})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/validate-yaml":
            return self.answer({"errors": [], "warnings": []})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}" or self.hub.refuses:
            return self.answer({"error": self.hub.refuses or "Unauthorized"}, 403)
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization', 'me')}/{asked['name']}"
            private = asked.get("private", False) or asked.get("visibility") == "private"
            self.hub.repositories[name] = Repository(private)
            return self.answer({"url": f"{self.hub.address}/{name}", "name": name})
        found = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main(?:\?.*)?", self.path)
        assert found, self.path
        if found[2] == "preupload":
            asked = json.loads(body)["files"]
            regular = [{"path": it["path"], "uploadMode": "regular", "shouldIgnore": False} for it in asked]
            return self.answer({"files": regular})
        repository = self.hub.repositories[found[1]]
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                repository.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "deletedFile":
                del repository.files[line["value"]["path"]]
        repository.commits += 1
        self.answer(
            {"commitUrl": f"{self.hub.address}/{found[1]}/commit/{repository.sha}", "commitOid": repository.sha}
        )

    def file(self, name: str, path: str) -> None:
        repository = self.readable(name)
        if repository is None:
            return self.answer({}, 404, **{"X-Error-Code": "RepoNotFound"})
        if path not in repository.files:
            return self.answer({}, 404, **{"X-Error-Code": "EntryNotFound", "X-Repo-Commit": repository.sha})
        content = repository.files[path]
        self.hub.fetched += [path] if self.command == "GET" else []
        self.answer(content, ETag=f'"{hashlib.sha1(content).hexdigest()}"', **{"X-Repo-Commit": repository.sha})

    def readable(self, name: str) -> Repository | None:
        found = self.hub.repositories.get(name)
        return (
            found if found and (not found.private or self.headers.get("Authorization") == f"Bearer {TOKEN}") else None
        )

    def answer(self, content: Any, status: int = 200, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
