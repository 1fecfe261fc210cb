"""Temporary folders that outlive nobody: what an owner leaves that was killed, the next one removes.

Each folder holds a locked file. The system lets go of the lock when its owner dies, in whatever way, so a
folder whose lock is free has no owner.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

LOCK = ".owner"
NAME = re.compile(r"llasa-[a-z]+-\w{8}")


@contextlib.contextmanager
def scratch_folder(purpose: str, parent: Path | None = None) -> Iterator[Path]:
    """Yield a new folder that only this user can read and that goes with the block.

    It is made in `parent`, by default the system's temporary folder; folders there whose owners died are
    removed first. `purpose`, a word of small letters, is a part of its name. Raises OSError.
    """
    remove_ownerless(parent)
    folder, lock = _made(parent, purpose)
    owner = os.getpid()
    try:
        yield folder
    finally:
        if os.getpid() == owner:  # not a copy of it, made by fork
            with contextlib.suppress(OSError):  # then the next one tries
                _remove(folder)
        os.close(lock)


def remove_ownerless(parent: Path | None = None) -> None:
    """Remove what killed owners left in a folder; what cannot be removed stays for somebody who can."""
    with contextlib.suppress(OSError), os.scandir(parent or tempfile.gettempdir()) as entries:
        for entry in [entry for entry in entries if NAME.fullmatch(entry.name)]:
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False) and entry.stat().st_uid == os.geteuid():
                    _remove_if_left(Path(entry.path))


def _made(parent: Path | None, purpose: str) -> tuple[Path, int]:
    """Make a folder with a locked file; another one if somebody's sweep was faster than the lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"llasa-{purpose}-", dir=parent))
        try:
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue
        with contextlib.suppress(OSError):  # a disk without locks: nobody can take it over either
            fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:
            return folder, lock
        os.close(lock)


def _remove_if_left(folder: Path) -> None:
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        folder.rmdir()  # empty: its owner died before it could lock it, or makes another
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(folder)
    finally:
        os.close(lock)


def _remove(folder: Path) -> None:
    """Remove a folder, the lock last: one that is removed in part can be told from those of others."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()
    shutil.rmtree(folder)
