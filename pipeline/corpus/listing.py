"""Lists the files below a folder, of this machine or of a store, without holding all of them."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.storage.on_disk import DiskMap, SortedTexts
from pipeline.storage.paths import find, is_remote

DEEP = 100  # folders within each other that are held open, to be read bit by bit


def nfc(text: str) -> str:
    """Return composed Unicode: macOS names files in decomposed form, transcripts are mostly composed."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def scan(root: Path, endings: Iterable[str]) -> Iterator[str]:
    """Yield what `walk` does in the order of the names, composed."""
    found = SortedTexts()
    for path in walk(root, endings):
        found.add(path, nfc(path))
    return iter(found)


def walk(root: Path, endings: Iterable[str]) -> Iterator[str]:
    """Yield files below `root` with one of `endings`, in either case: relative paths, in no order.

    Hidden files and folders are left out. A linked folder is entered only if its target was not, after
    all real ones: so a loop ends, and a link never hides the real path. Raises UsageError for an
    unreadable folder.
    """
    wanted = tuple(endings)
    if is_remote(root):
        yield from _objects(root, wanted)
        return
    entered = DiskMap[bool]()
    linked = [""]
    while linked:
        folder = linked.pop(0)
        opened = [(folder, _entries(root, folder, entered))]
        while opened:
            folder, entries = opened[-1]
            entry = next(entries, None)
            if entry is None:
                opened.pop()
            elif not entry.name.startswith("."):
                path = f"{folder}/{entry.name}" if folder else entry.name
                if not is_so(entry.is_dir):
                    if entry.name.lower().endswith(wanted) and is_so(entry.is_file):
                        yield path
                elif entry.is_symlink():
                    linked.append(path)
                else:
                    opened.append((path, _entries(root, path, entered, whole=len(opened) >= DEEP)))
        linked.sort()


def _entries(
    root: Path, folder: str, entered: DiskMap[bool], *, whole: bool = False
) -> Iterator[os.DirEntry[str]]:
    """Yield what is in a folder, unless it was entered before; with `whole` it is not open meanwhile."""
    try:
        status = (root / folder).stat()
        place = f"{status.st_dev}:{status.st_ino}"
        if entered.get(place):
            return
        entered[place] = True
        with os.scandir(root / folder) as entries:
            if not whole:
                yield from entries
            rest = list(entries)
        yield from rest
    except OSError as error:
        raise UsageError(f"cannot read the folder {root / folder}: {error.strerror}") from error


def is_so(look: Callable[[], bool]) -> bool:
    """Return what `look` does; false for what cannot be looked at, such as a link to itself."""
    try:
        return look()
    except (OSError, ValueError):
        return False


def _objects(root: Path, wanted: tuple[str, ...]) -> Iterator[str]:
    """List objects as `walk` does, in a store."""
    try:
        for path in find(root):
            if path.lower().endswith(wanted) and not any(part.startswith(".") for part in path.split("/")):
                yield path
    except OSError as error:
        raise UsageError(f"cannot list {root}: {error}") from error
