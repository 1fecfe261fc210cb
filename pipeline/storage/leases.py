"""Locks in an object store: an object that only one can create, renewed while its owner lives.

A store does not see that a process died, so a lease holds for `SECONDS` after its last renewal, and then
anyone may take it over. Clocks of the machines may differ by less than that. Every change names the version
of the object that it replaces (S3's If-Match, Google's ifGenerationMatch), so of many takers one wins, and an
owner whose lease was taken cannot renew it: it learns of the loss, and `check_leases` ends its run before it
writes more.

Other stores can through fsspec only create an object that is not there. A dead owner's lease stays there
until somebody deletes it; who meets it is told so.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError, UsageError
from pipeline.storage.paths import store, store_errors

SECONDS = 60.0  # a lease that was not renewed for so long is void
POLL = 1.0  # seconds between tries of one who waits
REFUSED = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")  # S3: another was faster
FREE = json.dumps({"owner": None, "until": 0.0}).encode()  # what an owner leaves behind


@dataclass(frozen=True)
class _Found:
    """What a lease object says: who took it last, until when it holds (this machine's clock), its version."""

    owner: str | None = None
    until: float = 0.0
    version: str | None = None  # None: there is no object

    @property
    def holds(self) -> bool:
        return self.owner is not None and self.until > time.time()


@dataclass
class _Lease:
    """A lease that this process holds."""

    path: Path
    owner: str
    version: str
    renewed: float = field(default_factory=time.monotonic)  # seconds, this process's clock
    taken_away: bool = False

    @property
    def lost(self) -> bool:
        return self.taken_away or time.monotonic() - self.renewed > SECONDS


_held: list[_Lease] = []


@contextlib.contextmanager
def leased(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lease `path` for the block.

    Yields False if the lease is taken and `wait` is False; otherwise blocks, then yields True. Raises
    UsageError if the store cannot be reached, or if a dead owner's lease cannot be taken over there.
    """
    owner = secrets.token_hex(8)
    while (lease := _reached(path, owner)) is None:
        if not wait:
            yield False
            return
        time.sleep(POLL)
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(lease, ended), name="lease", daemon=True)
    _held.append(lease)
    keeper.start()
    try:
        yield True
    finally:
        ended.set()
        keeper.join()
        _held.remove(lease)
        _release(lease)


def is_leased(path: Path) -> bool:
    """Return whether someone holds the lease."""
    return _read(path).holds


def check_leases(target: Path) -> None:
    """Raise PipelineError if this process has lost a lease on a folder that `target` is in."""
    for lease in _held:
        if lease.lost and str(target).startswith(str(lease.path.parent)):
            raise PipelineError(
                f"the lock {lease.path} was lost, since it could not be renewed in time: another "
                "run may write there; when it has ended, run the same command again, which goes on"
            )


def _reached(path: Path, owner: str) -> _Lease | None:
    with store_errors(path):
        return _take(path, owner)


def _take(path: Path, owner: str) -> _Lease | None:
    """Take the lease if it is free or void; None if somebody has it."""
    found = _read(path)
    if found.holds:
        return None
    if found.version is not None and not _has_conditions(path):
        raise UsageError(
            f"{path} was left by a run that did not end well, and this store cannot tell two who take it "
            "over apart: delete it if no run is at work there"
        )
    version = _put(path, owner, found.version)
    return None if version is None else _Lease(path, owner, version)


def _keep(lease: _Lease, ended: threading.Event) -> None:
    """Renew a lease until it is given up or lost."""
    while not lease.taken_away and not ended.wait(SECONDS / 4):
        _renew(lease)


def _renew(lease: _Lease) -> None:
    started = time.monotonic()
    try:
        version = _put(lease.path, lease.owner, lease.version)
    except Exception:  # a store that does not answer, in words of its own, may do so the next time
        return
    if version is None:
        lease.taken_away = True
    else:
        lease.version, lease.renewed = version, started


def _put(path: Path, owner: str, version: str | None) -> str | None:
    """Write the owner's lease in place of `version`; return its version, or None if it is somebody else's."""
    written = _write(path, _content(owner), version)
    if written is None:  # another was faster, or this is our own write, which was sent twice
        found = _read(path)
        written = found.version if found.owner == owner else None
    return written


def _release(lease: _Lease) -> None:
    """Free a lease that is still ours. One that cannot be freed becomes void by itself."""
    with contextlib.suppress(Exception):
        if _has_conditions(lease.path):
            _write(lease.path, FREE, lease.version)
        elif _read(lease.path).owner == lease.owner:
            fs, name = store(lease.path)
            fs.rm_file(name)


def _content(owner: str) -> bytes:
    return json.dumps({"owner": owner, "until": time.time() + SECONDS}).encode()


def _has_conditions(path: Path) -> bool:
    """Return whether the store replaces an object only if it is of a named version."""
    fs, _ = store(path)
    return _is_s3(fs) or _is_google(fs)


def _is_s3(fs: Any) -> bool:
    return "s3" in fs.protocol


def _is_google(fs: Any) -> bool:
    return "gs" in fs.protocol


def _read(path: Path) -> _Found:
    """Read a lease; one that says nothing sensible is void."""
    fs, name = store(path)
    try:
        # The version first: if the content is a later one's, a change that names the version fails.
        version = str(_version(fs, name))
        content = fs.cat_file(name)
    except FileNotFoundError:
        return _Found()
    try:
        said = json.loads(content)
        return _Found(None if said["owner"] is None else str(said["owner"]), float(said["until"]), version)
    except (ValueError, KeyError, TypeError):
        return _Found(version=version)


def _version(fs: Any, name: str) -> Any:
    about = fs.info(name, refresh=True) if _is_s3(fs) else fs.info(name)
    return about.get("generation") or about.get("ETag") or about.get("etag") or ""


def _write(path: Path, content: bytes, version: str | None) -> str | None:
    """Write a lease in place of `version` (None: where there is none) and return its version.

    Returns None if another version is there. Without conditions, only the owner of a lease replaces it.
    """
    fs, name = store(path)
    put = _put_google if _is_google(fs) else _put_other
    try:
        return put(fs, name, content, version)
    except FileExistsError:
        return None
    except FileNotFoundError:
        if version is None:
            raise  # there is no such bucket
        return None
    except OSError as error:
        answer = getattr(error.__cause__, "response", None) or {}  # botocore's
        if answer.get("Error", {}).get("Code") not in REFUSED:
            raise
        return None


def _put_other(fs: Any, name: str, content: bytes, version: str | None) -> str:
    conditions: dict[str, Any] = {"mode": "create"} if version is None else {}
    if version is not None and _is_s3(fs):
        conditions = {"IfMatch": version}
    written = fs.pipe_file(name, content, **conditions)
    return str(written["ETag"]) if isinstance(written, dict) else str(_version(fs, name))


def _put_google(fs: Any, name: str, content: bytes, version: str | None) -> str:
    """Write by one request of Google's JSON API; gcsfs makes FileExistsError of its answer 412.

    Generation 0 stands for no object: https://cloud.google.com/storage/docs/request-preconditions
    """
    bucket, key, _ = fs.split_path(name)
    written = fs.call(
        "POST",
        f"{fs.base.replace('/storage/', '/upload/storage/')}b/{{}}/o",
        bucket,
        uploadType="media",
        name=key,
        ifGenerationMatch=version or "0",
        data=content,
        json_out=True,
    )
    return str(written["generation"])
