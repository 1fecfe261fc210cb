"""Where audio bytes come from: a corpus names its audio by locators, and a source opens them.

Sources are pickled into loader workers, so they hold settings and open files lazily.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast, runtime_checkable


@runtime_checkable
class AudioSource(Protocol):
    """Opens what `Utterance.audio` names."""

    def stat(self, locator: str) -> tuple[int, int]:
        """Return size in bytes and modification time in nanoseconds.

        Raises FileNotFoundError if it is missing.
        """
        ...

    def open(self, locator: str) -> Path | BinaryIO:
        """Return a local path, which decoders read directly, else a seekable file to close."""
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


class FileSlice(io.RawIOBase):
    """A stretch of a local file as a seekable binary file of its own: a clip inside an archive.

    Holds the file open, so the stretch stays readable when the file is deleted.
    """

    def __init__(self, file: int, offset: int, size: int, name: str) -> None:
        """Take over the open descriptor `file`."""
        super().__init__()
        self._file, self._offset, self._size = file, offset, size
        self._position = 0
        self.name = name  # helps decoders with formats that are known by their ending only

    @classmethod
    def of(
        cls, file: Path | BinaryIO | io.FileIO, name: str, offset: int = 0, size: int | None = None
    ) -> BinaryIO:
        """Return `size` bytes (None: the rest) of what an `AudioSource` opened.

        Raises OSError if it cannot be opened.
        """
        if isinstance(file, Path):
            descriptor = os.open(file, os.O_RDONLY)
        else:
            with file:
                descriptor = os.dup(file.fileno())
        whole = os.fstat(descriptor).st_size
        return cast(BinaryIO, cls(descriptor, offset, whole - offset if size is None else size, name))

    def fileno(self) -> int:
        """Return the descriptor of the whole file.

        Raises OSError if the slice is only a part of it, as a pipe does.
        """
        if self._offset or self._size != os.fstat(self._file).st_size:
            raise io.UnsupportedOperation("a part of a file has no descriptor of its own")
        return self._file

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
        content = os.pread(self._file, count, self._offset + self._position)
        view[: len(content)] = content
        self._position += len(content)
        return len(content)

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            os.close(self._file)
        super().close()
