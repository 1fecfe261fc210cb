"""Where audio bytes come from. A corpus names its audio by locators; a source opens them.

Sources are pickled into loader workers, so they hold settings and open files lazily.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable


@runtime_checkable
class AudioSource(Protocol):
    """Opens what `Utterance.audio` names."""

    def stat(self, locator: str) -> tuple[int, int]:
        """Size in bytes and modification time in nanoseconds; FileNotFoundError when it is not there."""
        ...

    def open(self, locator: str) -> Path | BinaryIO:
        """A local path where there is one (decoders read it directly), else a seekable binary file."""
        ...


@dataclass(frozen=True)
class FolderSource:
    """Files below a folder; the locator is a POSIX path relative to it."""

    root: Path

    def stat(self, locator: str) -> tuple[int, int]:
        """See `AudioSource.stat`."""
        status = (self.root / locator).stat()
        return status.st_size, status.st_mtime_ns

    def open(self, locator: str) -> Path:
        """See `AudioSource.open`."""
        return self.root / locator
