"""Google's object store on this machine: as much of its JSON API as gcsfs and our leases use."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

OBJECTS = "/storage/v1/b/"


@dataclass
class Store:
    """Objects by bucket and name, each with its generation; changes come one after the other, as there."""

    objects: dict[tuple[str, str], tuple[bytes, int]] = field(default_factory=dict)
    written: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, bucket: str, name: str, content: bytes, expected: str | None) -> dict[str, Any] | None:
        """Write an object; None if it is not of the `expected` generation ("0": there is none)."""
        with self.lock:
            if expected is not None and int(expected) != self.objects.get((bucket, name), (b"", 0))[1]:
                return None
            self.written += 1
            self.objects[bucket, name] = content, self.written
            return self.about(bucket, name)

    def about(self, bucket: str, name: str) -> dict[str, Any]:
        """Return the object's resource. Raises KeyError if there is none."""
        content, generation = self.objects[bucket, name]
        return {"bucket": bucket, "name": name, "size": str(len(content)), "generation": str(generation)}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: Store

    def log_message(self, *arguments: object) -> None:
        pass

    def _answer(self, content: bytes, status: int = 200) -> None:
        with contextlib.suppress(ConnectionError):  # whoever asked may have been killed
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def _asked(self) -> tuple[str, str, str, dict[str, str]]:
        """Return what is asked for: upload, download or nothing; bucket, object and parameters."""
        url = urlsplit(self.path)
        kind, _, rest = url.path.partition(OBJECTS)
        bucket, _, name = rest.partition("/o")
        given = {key: values[0] for key, values in parse_qs(url.query).items()}
        return kind.strip("/"), bucket, unquote(name.removeprefix("/")), given

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        _, bucket, _, given = self._asked()
        name = given.get("name", "")
        if given["uploadType"] == "multipart":
            _, head, body = content.split(b"--==0==")[:3]
            name = json.loads(head.split(b"\n\n", 1)[1])["name"]
            content = body.split(b"\n\n", 1)[1][:-1]
        made = self.store.put(bucket, name, content, given.get("ifGenerationMatch"))
        if made is None:
            self._answer(b"{}", 412)
        else:
            self._answer(json.dumps(made).encode())

    def do_GET(self) -> None:
        kind, bucket, name, given = self._asked()
        try:
            if kind == "download":
                self._answer(self.store.objects[bucket, name][0])
            elif name:
                self._answer(json.dumps(self.store.about(bucket, name)).encode())
            else:
                self._answer(json.dumps(self._listed(bucket, given)).encode())
        except KeyError:
            self._answer(b"{}", 404)

    def _listed(self, bucket: str, given: dict[str, str]) -> dict[str, Any]:
        prefix, end = given.get("prefix", ""), given.get("delimiter")
        with self.store.lock:
            found = sorted(name for of, name in self.store.objects if of == bucket)
        names = [name for name in found if name.startswith(prefix)]
        below = {name for name in names if end and end in name.removeprefix(prefix)}
        folders = sorted({prefix + name.removeprefix(prefix).split(str(end))[0] + str(end) for name in below})
        items = [self.store.about(bucket, name) for name in names if name not in below]
        first, most = int(given.get("pageToken", 0)), int(given.get("maxResults", len(items) + 1))
        rest = {"nextPageToken": str(first + most)} if first + most < len(items) else {}
        return {"items": items[first : first + most], "prefixes": folders if first == 0 else [], **rest}

    def do_DELETE(self) -> None:
        _, bucket, name, _ = self._asked()
        with self.store.lock:
            found = self.store.objects.pop((bucket, name), None)
        self._answer(b"", 404 if found is None else 204)


@contextmanager
def serving() -> Iterator[str]:
    """Serve an empty store; yields its address."""
    handler = type("Handler", (_Handler,), {"store": Store()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()
