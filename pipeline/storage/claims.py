"""Who may write to an output folder: one whole run, or several ranks of one run side by side.

Locks are the system's (`flock`), which lets go of them when a process dies, also over NFS between machines.
In an object store they are leases, which nobody can share: there a run takes its own and then looks at the
others', so that of two that begin together at least one sees the other.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.storage.leases import is_leased, leased
from pipeline.storage.paths import is_remote

WHOLE = ".lock"  # held exclusively by a whole run, shared by parts
PLANNING = ".lock-planning"  # held by a part while it plans or closes the dataset
RANK_LOCK = re.compile(r"\.lock-part-(\d+)-of-(\d+)")


@dataclass(frozen=True)
class Rank:
    """A share of the shards: those whose number is `number` modulo `of`."""

    number: int
    of: int
    told_by: str = "--part"  # what said so, for messages

    @property
    def lock(self) -> str:
        """Name of the file that is locked while this part is at work."""
        return f".lock-part-{self.number}-of-{self.of}"

    def __str__(self) -> str:
        return f"part {self.number} of {self.of}"


@contextlib.contextmanager
def claimed(root: Path) -> Iterator[None]:
    """Hold `root` for one whole run. Raises UsageError if another run, or a rank of one, holds it."""
    if not is_remote(root):
        root.mkdir(parents=True, exist_ok=True)
    with _locked(root / WHOLE, fcntl.LOCK_EX | fcntl.LOCK_NB) as held:
        if not held or (is_remote(root) and _ranks_at_work(root)):
            raise _taken(root)
        yield


@dataclass
class RankClaim:
    """A rank at work on `root`."""

    root: Path
    first: bool  # no other part was at work when this one began, so it is the one to plan
    _planning: contextlib.ExitStack

    def planned(self) -> None:
        """Let the other ranks, which wait for the plan, go on."""
        self._planning.close()

    def is_at_work(self, lock: str | None) -> bool:
        """Return whether another process holds the rank of this lock; only before `planned`, or `closing`."""
        return lock is not None and not _is_free(self.root / lock)

    def closing(self) -> contextlib.AbstractContextManager[object]:
        """Keep other ranks from planning or closing meanwhile; waits for one that does."""
        return _locked(self.root / PLANNING, fcntl.LOCK_EX)


@contextlib.contextmanager
def claimed_rank(root: Path, part: Rank, say: Callable[[str], object]) -> Iterator[RankClaim]:
    """Hold a rank of `root`, and planning until `RankClaim.planned`; waits while another rank plans.

    Raises UsageError if a whole run, the same rank, or ranks of another number hold it.
    """
    if not is_remote(root):
        root.mkdir(parents=True, exist_ok=True)
    with _locked(root / WHOLE, fcntl.LOCK_SH | fcntl.LOCK_NB) as shared, contextlib.ExitStack() as planning:
        if not shared:
            raise _taken(root)
        if not _is_free(root / PLANNING):
            say(f"{part}: waiting for another part to plan")
        planning.enter_context(_locked(root / PLANNING, fcntl.LOCK_EX))
        others = _ranks_at_work(root)
        if part in others:
            raise UsageError(f"{part} of {root} is being made by another process; give each its own --part")
        if other := next((other for other in others if other.of != part.of), None):
            raise UsageError(f"{root} is being made in {other.of} parts, not {part.of}: wait for them")
        with _locked(root / part.lock, fcntl.LOCK_EX):
            if is_remote(root) and is_leased(root / WHOLE):  # it began since we looked
                raise _taken(root)
            yield RankClaim(root, not others, planning)


def _ranks_at_work(root: Path) -> list[Rank]:
    """Return ranks that other processes hold.

    Only the holder of planning may ask: looking takes each lock briefly.
    """
    found = []
    for path in root.glob(".lock-part-*"):
        match = RANK_LOCK.fullmatch(path.name)
        if match and not _is_free(path):
            found.append(Rank(int(match[1]), int(match[2])))
    return found


def _taken(root: Path) -> UsageError:
    return UsageError(f"another run is writing to {root}: wait for it, or give another output folder")


def _is_free(path: Path) -> bool:
    if is_remote(path):
        return not is_leased(path)
    with _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB) as held:
        return held


@contextlib.contextmanager
def _locked(path: Path, operation: int) -> Iterator[bool]:
    """Lock a file for the block and yield whether that succeeded, which only LOCK_NB leaves open."""
    if is_remote(path):
        if operation & fcntl.LOCK_SH:
            yield not is_leased(path)
            return
        with leased(path, wait=not operation & fcntl.LOCK_NB) as held:
            yield held
        return
    descriptor = _opened(path)
    try:
        try:
            fcntl.flock(descriptor, operation)
        except BlockingIOError:
            yield False
            return
        except OSError as error:
            raise UsageError(
                f"{path.parent} cannot be locked ({error.strerror}): take a disk that supports flock"
            ) from error
        yield True
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    """Open a lock file; where nothing may be written, to read: a finished dataset can be looked at."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise
        return os.open(path if path.exists() else path.parent, os.O_RDONLY)
