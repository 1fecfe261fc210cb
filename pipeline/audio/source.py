"""Where audio bytes come from: a corpus names its audio by locators, and a source opens them.

Sources are pickled into loader workers, so they hold settings and open files lazily.
"""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable


@runtime_checkable
class AudioSource(Protocol):
    """Opens what `Utterance.audio` names."""

    def stat(self, locator: str) -> tuple[int, int]:
        """Return size in bytes and modification time in nanoseconds.

        Raises FileNotFoundError if it is missing.
        """
        ...

    def open(self, locator: str) -> BinaryIO:
        """Open the audio as a seekable binary file: `with source.open(locator) as file`. Raises OSError."""
        ...


@dataclass(frozen=True)
class FolderSource:
    """Files below a folder; the locator is a POSIX path relative to it."""

    root: Path

    def stat(self, locator: str) -> tuple[int, int]:
        """See `AudioSource.stat`."""
        status = (self.root / locator).stat()
        return status.st_size, status.st_mtime_ns

    def open(self, locator: str) -> BinaryIO:
        """See `AudioSource.open`."""
        return open_file(self.root / locator)


def open_file(path: Path) -> io.FileIO:
    """Open a regular file to read. Raises OSError; a pipe or a device, which could block, is refused."""
    file = io.FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError("it is not a regular file")
    return file


class FileSlice(io.RawIOBase):
    """A stretch of an open local file as a seekable binary file of its own: a clip inside an archive.

    `name` helps decoders with formats that are known by their ending only. Closing the slice closes the file.
    """

    def __init__(self, file: BinaryIO, name: str, offset: int, size: int) -> None:
        super().__init__()
        self._file, self._offset, self._size = file, offset, size
        self._position = 0
        self.name = name

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes from the beginning of the stretch."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move as `io.IOBase.seek` does, within the stretch."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` as far as the stretch goes and return the number of bytes."""
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._size - self._position))
        content = os.pread(self._file.fileno(), count, self._offset + self._position)
        view[: len(content)] = content
        self._position += len(content)
        return len(content)

    def close(self) -> None:
        """Close the whole file."""
        self._file.close()
        super().close()
