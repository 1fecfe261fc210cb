"""Files that are complete or absent: write under a temporary name, fsync, rename, fsync the folder.

The temporary name is fixed for a target and writer, so a run after a crash overwrites what the crash left. In
an object store an object appears whole by itself: it is made in a temporary folder here, then uploaded.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path

from pipeline.errors import naming
from pipeline.storage.leases import check_leases
from pipeline.storage.paths import is_remote, upload
from pipeline.storage.scratch import scratch_folder

CHUNK = 1 << 20  # bytes read at a time


@contextlib.contextmanager
def replacing(target: Path, writer: str = "") -> Iterator[Path]:
    """Yield a temporary path; when the block ends well, it becomes `target` durably and at once.

    `writer` separates the temporary names of two that may write one target.
    """
    if is_remote(target):
        with scratch_folder("upload") as folder:
            yield folder / target.name
            check_leases(target)
            upload(folder / target.name, target)
        return
    temporary = target.with_name(f".{target.name}{writer and '.' + writer}.tmp")
    with naming(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            sync(temporary)
            temporary.replace(target)
            sync(target.parent)
        except BaseException:
            with contextlib.suppress(OSError):  # the error that is under way says more
                temporary.unlink(missing_ok=True)
            raise


def write_text(target: Path, text: str) -> bool:
    """Replace `target` by `text` in UTF-8, unless it already says just that; return whether it did not."""
    content = text.encode()
    with contextlib.suppress(FileNotFoundError), naming(target):
        if target.read_bytes() == content:
            return False
    with replacing(target) as temporary:
        temporary.write_bytes(content)
    return True


def write_lines(target: Path, lines: Iterable[str]) -> bool:
    """Do as `write_text` with lines that are never in memory together; they are iterated up to twice."""
    with contextlib.suppress(FileNotFoundError), naming(target), target.open("rb") as file:
        if all(old == new for old, new in zip_longest(file, (f"{line}\n".encode() for line in lines))):
            return False
    with replacing(target) as temporary, temporary.open("wb") as file:
        file.writelines(f"{line}\n".encode() for line in lines)
    return True


def remove(path: Path) -> None:
    """Delete a file that may be gone already."""
    check_leases(path)
    path.unlink(missing_ok=True)


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with naming(path), path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's names, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
