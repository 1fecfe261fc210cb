"""Tar files of many small members: the same members always give the same bytes."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from pipeline.errors import naming


class Tar:
    """A tar file that is written from its first member to its last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")
        self._tar = tarfile.open(fileobj=self._file, mode="w")  # noqa: SIM115  # closed by `close`

    def add(self, name: str, content: bytes) -> None:
        """Append a member."""
        member = tarfile.TarInfo(name)  # of no one, of no time
        member.size = len(content)
        with naming(self._path):
            self._tar.addfile(member, io.BytesIO(content))
        self._tar.members.clear()  # type: ignore[attr-defined]  # it would keep them all

    def close(self) -> None:
        """Finish the file."""
        with naming(self._path), self._file:
            self._tar.close()
