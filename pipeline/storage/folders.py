"""A folder that is complete or absent: filled under a temporary name, then renamed."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.storage.files import sync


@contextlib.contextmanager
def replacing_folder(target: Path, mark: str) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` when the block ends well.

    An older `target` is replaced if it holds the file `mark`, which says that it was made so. What a
    killed run left is cleared away. Raises UsageError for any other folder that is not empty.
    """
    _check(target, mark)
    temporary, old = recover_folder(target)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for path in (*temporary.rglob("*"), temporary):
            sync(path)
        if target.exists():
            target.rename(old)
        temporary.rename(target)
        sync(target.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def recover_folder(target: Path) -> tuple[Path, Path]:
    """Put an older `target` back and clear away what a killed run left; return the names it leaves."""
    target = target.absolute()  # `.` has no name
    temporary, old = (target.with_name(f".{target.name}.{end}") for end in ("tmp", "old"))
    if old.exists() and not target.exists():
        old.rename(target)  # killed between the two renames of `replacing_folder`
    for left in (temporary, old):
        shutil.rmtree(left, ignore_errors=True)
    return temporary, old


def _check(target: Path, mark: str) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise UsageError(f"{target} is a file: give a folder to write to")
    if any(target.iterdir()) and not (target / mark).exists():
        raise UsageError(f"{target} is not empty and not an earlier export: give another folder")
