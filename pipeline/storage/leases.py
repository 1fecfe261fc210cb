"""Locks in an object store: an object that only one can create, renewed while its owner lives.

A store does not see that a process died, so a lease holds for `SECONDS` after its last renewal. Clocks of the
machines may differ by less than that.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.storage.paths import store, store_errors

SECONDS = 60.0  # a lease that was not renewed for so long is void
POLL = 1.0  # seconds between tries of one who waits


@contextlib.contextmanager
def leased(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lease `path` for the block.

    Yields False if the lease is taken and `wait` is False; otherwise blocks, then yields True.
    """
    owner = secrets.token_hex(8)
    while not _reached(path, owner):
        if not wait:
            yield False
            return
        time.sleep(POLL)
    ended = threading.Event()
    keeper = threading.Thread(target=_renew, args=(path, owner, ended), name="lease", daemon=True)
    keeper.start()
    try:
        yield True
    finally:
        ended.set()
        keeper.join()
        if _read(path)[0] == owner:
            fs, name = store(path)
            fs.rm_file(name)


def is_leased(path: Path) -> bool:
    """Return whether someone holds the lease."""
    owner, until = _read(path)
    return owner is not None and until > time.time()


def _reached(path: Path, owner: str) -> bool:
    with store_errors(path):
        return _take(path, owner)


def _take(path: Path, owner: str) -> bool:
    fs, name = store(path)
    if is_leased(path):
        return False
    with contextlib.suppress(FileNotFoundError):  # what a dead owner left
        fs.rm_file(name)
    with contextlib.suppress(FileExistsError):
        _write(path, owner, mode="create")
    return _read(path)[0] == owner


def _write(path: Path, owner: str, mode: str) -> None:
    fs, name = store(path)
    content = json.dumps({"owner": owner, "until": time.time() + SECONDS}).encode()
    fs.pipe_file(name, content, mode=mode)


def _read(path: Path) -> tuple[str | None, float]:
    """Return who took the lease last, and until when it holds, in seconds of this machine's clock."""
    fs, name = store(path)
    try:
        lease = json.loads(fs.cat_file(name))
    except FileNotFoundError:
        return None, 0.0
    return str(lease["owner"]), float(lease["until"])


def _renew(path: Path, owner: str, ended: threading.Event) -> None:
    while not ended.wait(SECONDS / 4):
        with contextlib.suppress(OSError):  # a store that does not answer may do so the next time
            _write(path, owner, mode="overwrite")
