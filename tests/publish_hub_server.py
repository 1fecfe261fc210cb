"""A Hugging Face Hub on loopback: enough of its HTTP protocol for the real clients, with faults on request.

What is spoken: creating repositories and branches, preupload, Git LFS batch and uploads, commits on
parents, trees, repository info and downloads with ranges, as huggingface_hub and datasets ask for them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from publish_hub import TOKEN, Commit, Fault, Hub


@contextmanager
def serving() -> Iterator[Hub]:
    """A server on a port that the system chooses."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Refused(Exception):
    def __init__(self, status: int, code: str = "") -> None:
        self.status, self.code = status, code


class _Handler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the one before to be acknowledged
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        self._answer("GET")

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self, method: str) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self._body()
        self.hub.requests.append(f"{method} {path}")
        if fault := self.hub.fault(method, path, late=False):
            return self._fail(fault)
        try:
            with self.hub.lock:
                status, content, headers = self._route(method, path, body)
        except _Refused as refused:
            status, content, headers = refused.status, b"{}", {"X-Error-Code": refused.code}
        if fault := self.hub.fault(method, path, late=True):
            return self._fail(fault)
        self._send(status, content, headers)
        return None

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _fail(self, fault: Fault) -> None:
        if fault.status is None:
            self.close_connection = True
            self.connection.close()
        else:
            self._send(fault.status, b"{}", fault.headers)

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _route(self, method: str, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        for verb, pattern, act in ROUTES:
            if verb == method and (match := re.fullmatch(pattern, path)):
                answer = act(self, body, **match.groupdict())
                return answer if isinstance(answer, tuple) else (200, json.dumps(answer).encode(), JSON)
        raise _Refused(404)

    def _authorised(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise _Refused(401)

    def _last(self, repo: str, rev: str = "main") -> Commit:
        if repo not in self.hub.private:
            raise _Refused(404, "RepoNotFound")
        if self.hub.private[repo]:
            self._authorised()
        for (name, branch), history in self.hub.branches.items():
            for commit in reversed(history):
                if name == repo and rev in (branch, commit.id):
                    return commit
        raise _Refused(404, "RevisionNotFound")

    def create(self, body: bytes) -> Any:
        self._authorised()
        asked = json.loads(body)
        if asked["organization"] != "user":
            raise _Refused(403)
        repo = f"{asked['organization']}/{asked['name']}"
        if repo in self.hub.private:
            return 409, json.dumps({"url": f"{self.hub.url}/datasets/{repo}"}).encode(), JSON
        self.hub.private[repo] = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.hub.commit(
            repo, "main", {".gitattributes": (b"*.parquet filter=lfs\n", False)}, "initial commit"
        )
        return {"url": f"{self.hub.url}/datasets/{repo}"}

    def branch(self, body: bytes, repo: str, rev: str) -> Any:
        self._authorised()
        if (repo, rev) in self.hub.branches:
            raise _Refused(409)
        self.hub.commit(repo, rev, dict(self._last(repo).tree), "branch")
        return {}

    def info(self, body: bytes, repo: str, rev: str = "main") -> Any:
        commit = self._last(repo, rev)
        return {
            "id": repo,
            "sha": commit.id,
            "private": self.hub.private[repo],
            "tags": [],
            "siblings": [{"rfilename": path} for path in commit.tree],
        }

    def tree(self, body: bytes, repo: str, rev: str, folder: str = "") -> Any:
        commit, inside = self._last(repo, rev), f"{folder}/" if folder else ""
        found = {path: file for path, file in commit.tree.items() if path.startswith(inside)}
        if folder and not found:
            raise _Refused(404, "EntryNotFound")
        parents = {path[: i.start()] for path in found for i in re.finditer("/", path)} - {folder}
        deep = "recursive=true" in self.path.lower() or "recursive=1" in self.path
        entries = [_folder_entry(path) for path in sorted(parents)]
        entries += [_file_entry(path, *file) for path, file in found.items()]
        return [entry for entry in entries if deep or "/" not in entry["path"][len(inside) :]]

    def paths(self, body: bytes, repo: str, rev: str) -> Any:
        commit, asked = self._last(repo, rev), _form(body)
        files = [_file_entry(path, *commit.tree[path]) for path in asked if path in commit.tree]
        folders = [path for path in asked if any(name.startswith(f"{path}/") for name in commit.tree)]
        return files + [_folder_entry(path) for path in folders]

    def preupload(self, body: bytes, repo: str, rev: str) -> Any:
        self._authorised()
        tree = self._last(repo, rev).tree
        return {
            "files": [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(".parquet") else "regular",
                    "shouldIgnore": False,
                    "oid": _git_hash(tree[file["path"]][0]) if file["path"] in tree else None,
                }
                for file in json.loads(body)["files"]
            ]
        }

    def batch(self, body: bytes, repo: str) -> Any:
        self._authorised()
        objects = []
        for wanted in json.loads(body)["objects"]:
            entry: dict[str, Any] = {"oid": wanted["oid"], "size": wanted["size"]}
            if self.hub.refusal:
                entry["error"] = {"code": 403, "message": self.hub.refusal}
            elif wanted["oid"] not in self.hub.objects:
                entry["actions"] = {"upload": {"href": f"{self.hub.url}/lfs/{wanted['oid']}"}}
            objects.append(entry)
        return {"transfer": "basic", "objects": objects}

    def store(self, body: bytes, oid: str) -> Any:
        if self.headers.get("Authorization"):
            raise _Refused(400)  # storage is another host, which must not be shown the token
        if hashlib.sha256(body).hexdigest() != oid:
            raise _Refused(400)
        self.hub.objects[oid] = body
        return {}

    def check_card(self, body: bytes) -> Any:
        assert json.loads(body)["repoType"] == "dataset"
        return {"errors": [], "warnings": []}

    def make_commit(self, body: bytes, repo: str, rev: str) -> Any:
        self._authorised()
        head = self._last(repo, rev)
        header, *operations = (json.loads(line) for line in body.splitlines())
        if header["value"].get("parentCommit", head.id) != head.id:
            raise _Refused(412)
        tree = dict(head.tree)
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "file":
                tree[value["path"]] = (base64.b64decode(value["content"]), False)
            elif operation["key"] == "lfsFile":
                tree[value["path"]] = (self.hub.objects[value["oid"]], True)
            else:
                del tree[value["path"]]
        made = self.hub.commit(repo, rev, tree, header["value"]["summary"])
        return {"commitUrl": f"{self.hub.url}/datasets/{repo}/commit/{made.id}", "commitOid": made.id}

    def resolve(self, body: bytes, repo: str, rev: str, file: str) -> Any:
        commit = self._last(repo, rev)
        if file not in commit.tree:
            raise _Refused(404, "EntryNotFound")
        content, large = commit.tree[file]
        etag = hashlib.sha256(content).hexdigest() if large else _git_hash(content)
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": commit.id, "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            return 200, content, headers
        first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        return 206, content[first : last + 1], headers


JSON = {"Content-Type": "application/json"}
_REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"
_API = f"/api/datasets/{_REPO}"
ROUTES: list[tuple[str, str, Any]] = [
    ("POST", "/api/repos/create", _Handler.create),
    ("POST", "/api/validate-yaml", _Handler.check_card),
    ("POST", rf"{_API}/branch/(?P<rev>.+)", _Handler.branch),
    ("GET", _API, _Handler.info),
    ("GET", rf"{_API}/revision/(?P<rev>.+)", _Handler.info),
    ("GET", rf"{_API}/tree/(?P<rev>[^/]+)(?:/(?P<folder>.+))?", lambda s, b, **k: s.tree(b, **_given(k))),
    ("POST", rf"{_API}/paths-info/(?P<rev>.+)", _Handler.paths),
    ("POST", rf"{_API}/preupload/(?P<rev>.+)", _Handler.preupload),
    ("POST", rf"/datasets/{_REPO}\.git/info/lfs/objects/batch", _Handler.batch),
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", _Handler.store),
    ("POST", rf"{_API}/commit/(?P<rev>.+)", _Handler.make_commit),
    ("GET", rf"/datasets/{_REPO}/resolve/(?P<rev>[^/]+)/(?P<file>.+)", _Handler.resolve),
    ("HEAD", rf"/datasets/{_REPO}/resolve/(?P<rev>[^/]+)/(?P<file>.+)", _Handler.resolve),
]


def _given(values: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _form(body: bytes) -> list[str]:
    if body.startswith(b"{"):
        paths: list[str] = json.loads(body)["paths"]
        return paths
    from urllib.parse import parse_qs

    return parse_qs(body.decode())["paths"]


def _git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _folder_entry(path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "oid": hashlib.sha1(path.encode()).hexdigest(), "size": 0}


def _file_entry(path: str, content: bytes, large: bool) -> dict[str, Any]:
    entry = {"type": "file", "path": path, "oid": _git_hash(content), "size": len(content)}
    if large:
        digest = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 128}
    return entry
