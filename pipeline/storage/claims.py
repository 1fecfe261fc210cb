"""Who may write to an output folder: one whole run, or several parts of one run side by side.

Locks are the system's (`flock`), which lets go of them when a process dies, also over NFS between machines.
In an object store they are leases, which nobody can share: there a whole run looks for parts instead.
Knows nothing of what is in the folder.
"""

from __future__ import annotations

import contextlib
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
PART = re.compile(r"\.lock-part-(\d+)-of-(\d+)")


@dataclass(frozen=True)
class Part:
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
    """Hold `root` for one whole run. UsageError when another run, or a part of one, holds it."""
    if not is_remote(root):
        root.mkdir(parents=True, exist_ok=True)
    with _locked(root / WHOLE, fcntl.LOCK_EX | fcntl.LOCK_NB) as held:
        if not held or (is_remote(root) and _parts_at_work(root)):
            raise _taken(root)
        yield


@dataclass
class PartClaim:
    """A part at work on `root`."""

    root: Path
    first: bool  # no other part was at work when this one began, so it is the one to plan
    _planning: contextlib.ExitStack

    def planned(self) -> None:
        """Let the other parts, which wait for the plan, go on."""
        self._planning.close()

    def closing(self) -> contextlib.AbstractContextManager[object]:
        """Keep other parts from planning or closing meanwhile; waits for one that does."""
        return _locked(self.root / PLANNING, fcntl.LOCK_EX)


@contextlib.contextmanager
def claimed_part(root: Path, part: Part, say: Callable[[str], object]) -> Iterator[PartClaim]:
    """Hold a part of `root`, and planning until `PartClaim.planned`; waits while another part plans.

    UsageError when a whole run, the same part, or parts of another number hold it.
    """
    if not is_remote(root):
        root.mkdir(parents=True, exist_ok=True)
    with _locked(root / WHOLE, fcntl.LOCK_SH | fcntl.LOCK_NB) as shared, contextlib.ExitStack() as planning:
        if not shared:
            raise _taken(root)
        if not _is_free(root / PLANNING):
            say(f"{part}: waiting for another part to plan")
        planning.enter_context(_locked(root / PLANNING, fcntl.LOCK_EX))
        others = _parts_at_work(root)
        if part in others:
            raise UsageError(f"{part} of {root} is being made by another process; give each its own --part")
        if other := next((other for other in others if other.of != part.of), None):
            raise UsageError(f"{root} is being made in {other.of} parts, not {part.of}: wait for them")
        with _locked(root / part.lock, fcntl.LOCK_EX):
            yield PartClaim(root, not others, planning)


def _parts_at_work(root: Path) -> list[Part]:
    """Parts that other processes hold. Only who holds planning may ask: looking takes each lock shortly."""
    found = []
    for path in root.glob(".lock-part-*"):
        match = PART.fullmatch(path.name)
        if match and not _is_free(path):
            found.append(Part(int(match[1]), int(match[2])))
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
    """Lock a file for the block; whether that succeeded, which only LOCK_NB leaves open."""
    if is_remote(path):
        if operation & fcntl.LOCK_SH:
            yield not is_leased(path)
            return
        with leased(path, wait=not operation & fcntl.LOCK_NB) as held:
            yield held
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
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
