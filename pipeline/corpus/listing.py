"""Lists the files below a folder, of this machine or of a store, without holding all of them."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.storage.on_disk import DiskMap, SmallestFirst, SortedTexts
from pipeline.storage.paths import is_remote, objects


def nfc(text: str) -> str:
    """Return composed Unicode: macOS names files in decomposed form, transcripts are mostly composed."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def scan(root: Path, endings: Iterable[str], *, below: bool = True) -> Iterator[str]:
    """Yield what `walk` does in the order of the names, composed; or of that what is right in `root`."""
    found = SortedTexts()
    for path in walk(root, endings) if below else right_in(root, "", endings) or ():
        found.add(path, nfc(path))
    return iter(found)


def walk(root: Path, endings: Iterable[str]) -> Iterator[str]:
    """Yield files below `root` with one of `endings`, in either case: relative paths.

    Folders come in the order of their names, composed, and what is in one of them in no order. Hidden files
    and folders are left out. A linked folder is entered only if its target was not, after all real ones: so
    a loop ends, and a link never hides the real path. Raises UsageError for an unreadable folder.
    """
    wanted = tuple(endings)
    if is_remote(root):
        yield from by_folder(_objects(root, wanted))
        return
    entered, linked, pending = DiskMap[bool](), [""], SmallestFirst()
    while linked:
        target = linked.pop(0)
        pending.add(target, nfc(target))
        while (folder := pending.pop()) is not None:
            for entry in _entries(root, folder, entered):
                if entry.name.startswith("."):
                    continue
                path = f"{folder}/{entry.name}" if folder else entry.name
                if not is_so(entry.is_dir):
                    if _is_file(entry, wanted):
                        yield path
                elif entry.is_symlink():
                    linked.append(path)
                else:
                    pending.add(path, nfc(path))
        linked.sort()


def right_in(root: Path, folder: str, endings: Iterable[str]) -> Iterable[str] | None:
    """Return what `walk` yields of one folder, which is given relative to `root` in composed Unicode.

    None where only the whole of `walk` tells: the folder is reached through a link, or it may be spelled in
    more than one way. Raises UsageError for an unreadable folder.
    """
    wanted = tuple(endings)
    if any(part.startswith(".") for part in folder.split("/")):
        return ()
    if unicodedata.normalize("NFD", folder) != folder:
        return None
    if is_remote(root):
        found = _objects(root / folder if folder else root, wanted, below=False)
        return (f"{folder}/{name}" if folder else name for name in found)
    try:
        if not stat.S_ISDIR((root / folder).stat().st_mode):
            return ()
        if (root / folder).resolve() != root.resolve() / folder:
            return None
    except (FileNotFoundError, NotADirectoryError):
        return () if folder.isascii() else None
    except (OSError, ValueError):  # a name too long, or with a null byte; a folder that may not be entered
        return None
    return (
        f"{folder}/{entry.name}" if folder else entry.name
        for entry in _entries(root, folder, DiskMap[bool]())
        if not entry.name.startswith(".") and _is_file(entry, wanted)
    )


def _is_file(entry: os.DirEntry[str], wanted: tuple[str, ...]) -> bool:
    return entry.name.lower().endswith(wanted) and is_so(entry.is_file)


def _entries(root: Path, folder: str, entered: DiskMap[bool]) -> Iterator[os.DirEntry[str]]:
    """Yield what is in a folder, unless it was entered before."""
    try:
        status = (root / folder).stat()
        place = f"{status.st_dev}:{status.st_ino}"
        if entered.get(place):
            return
        entered[place] = True
        with os.scandir(root / folder) as entries:
            yield from entries
    except OSError as error:
        raise UsageError(f"cannot read the folder {root / folder}: {error.strerror}") from error


def is_so(look: Callable[[], bool]) -> bool:
    """Return what `look` does; false for what cannot be looked at, such as a link to itself."""
    try:
        return look()
    except (OSError, ValueError):
        return False


def _objects(root: Path, wanted: tuple[str, ...], *, below: bool = True) -> Iterator[str]:
    """List objects as `walk` does, or those right in a folder, in a store."""
    try:
        for path, _ in objects(root, below=below):
            if path.lower().endswith(wanted) and not any(part.startswith(".") for part in path.split("/")):
                yield path
    except OSError as error:
        if below or not isinstance(error, FileNotFoundError):
            raise UsageError(f"cannot list {root}: {error}") from error


def by_folder(paths: Iterable[str]) -> SortedTexts:
    """Return paths sorted by their folder, composed."""
    found = SortedTexts()
    for path in paths:
        found.add(path, nfc(path.rpartition("/")[0]))
    return found
