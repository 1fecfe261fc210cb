"""The files of a listing by name, however many: a temporary database."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from itertools import chain, groupby
from typing import NamedTuple

from pipeline.corpus.entry import is_printable
from pipeline.corpus.listing import nfc
from pipeline.storage.on_disk import Database, DiskMap, SortedTexts

TABLES = (
    "folders(number INTEGER PRIMARY KEY, path TEXT UNIQUE)",  # composed, with its slash at the end
    "files(number INTEGER PRIMARY KEY, folder INTEGER, stem TEXT, ending TEXT, spelled TEXT)",
    "unnameable(path TEXT)",
)
LOCATOR = "coalesce(spelled, path || stem || ending)"  # spelled: as on disk, where that is not composed
JOINED = "files JOIN folders ON folders.number = files.folder"
FOUND = f"SELECT files.number, {LOCATOR}, path || stem FROM {JOINED} WHERE stem = ?"
AT = f"{FOUND} AND folder = (SELECT number FROM folders WHERE path = ?)"
BELOW = "SELECT 1 FROM folders WHERE path >= ? AND path < ? LIMIT 1"
REMEMBERED = 1024  # look-ups: the segments of a recording ask for the same stem again and again


class File(NamedTuple):
    """A file; `plain` is its path without ending, composed. The number 0 is of one that is in no table."""

    number: int
    locator: str
    plain: str


class FileTable:
    """Files by their name without ending, the stem.

    A folder is listed when one of its files is first asked for, and all when one may be in any.
    """

    def __init__(
        self,
        listing: Iterable[str],
        without_ending: Callable[[str], str],
        right_in: Callable[[str], Iterable[str] | None] = lambda folder: None,
    ) -> None:
        """Take paths relative to a root; `right_in` lists a folder's own, or tells by None that it cannot.

        A path that is not valid Unicode is kept apart, with the offending bytes escaped.
        """
        self._unlisted: Iterator[str] | None = iter(listing)
        self._right_in, self._listed = right_in, DiskMap[bool]()  # folders that were asked for, as spelled
        self._without_ending = without_ending
        self._count, self._folder, self._folder_number = 0, "", 0
        self._database = Database(*TABLES)
        self._database.run("CREATE INDEX of_folders ON files(folder, stem)")
        self._has_stems = False  # an index of stems
        self._named = bytearray()
        self._remembered = lru_cache(REMEMBERED)(partial(_of_stem, self._database))

    def _add(self, paths: Iterable[str]) -> None:
        rows = (row for path in paths if (row := self._row(path)) is not None)
        self._database.insert("INSERT INTO files VALUES (?, ?, ?, ?, ?)", rows)

    def _list(self, folder: str) -> bool:
        """Take in a folder's own files; return whether that could be without all others."""
        if self._unlisted is None:
            return False
        if not self._listed.get(folder):
            if (found := self._right_in(folder)) is None:
                return False
            self._listed[folder] = True
            self._add(found)
        return True

    def _list_all(self) -> None:
        if self._unlisted is not None:
            rest, self._unlisted = self._unlisted, None
            self._database.run("DROP INDEX of_folders")  # many are indexed together for less
            self._add(self._not_listed(rest))

    def _not_listed(self, paths: Iterable[str]) -> Iterator[str]:
        for folder, below in groupby(paths, key=lambda path: path.rpartition("/")[0]):
            if not self._listed.get(folder):
                yield from below

    def _index_stems(self) -> None:
        self._list_all()
        if not self._has_stems:
            self._database.run("CREATE INDEX by_name ON files(stem, folder)")
            self._has_stems = True

    def _row(self, path: str) -> tuple[int, int, str, str, str | None] | None:
        if not is_printable(path):
            escaped = os.fsencode(path).decode("utf-8", "backslashreplace")
            self._database.run("INSERT INTO unnameable VALUES (?)", (escaped,))
            return None
        composed = nfc(path)
        folder, slash, name = composed.rpartition("/")
        stem = self._without_ending(name)
        self._count += 1
        number = self._number_of(folder + slash)
        return self._count, number, stem, name[len(stem) :], None if composed == path else path

    def _number_of(self, folder: str) -> int:
        if folder != self._folder or not self._folder_number:
            self._database.run("INSERT OR IGNORE INTO folders(path) VALUES (?)", (folder,))
            found = self._database.all("SELECT number FROM folders WHERE path = ?", (folder,))
            self._folder, self._folder_number = folder, found[0][0]
        return self._folder_number

    def __bool__(self) -> bool:
        """Return whether there is a file that can be named, for which no more is listed than it takes."""
        if self._count or self._unlisted is None:
            return self._count > 0
        seen: list[str] = []
        for path in self._unlisted:
            seen.append(path)
            if is_printable(path):
                break
        self._unlisted = chain(seen, self._unlisted)
        return any(map(is_printable, seen))

    def __len__(self) -> int:
        self._list_all()
        return self._count

    def __iter__(self) -> Iterator[str]:
        """Yield the locators in the order of their composed names."""
        self._list_all()
        rows = self._database.each(f"SELECT {LOCATOR} FROM {JOINED} ORDER BY path || stem || ending, 1")
        return (locator for (locator,) in rows)

    def of_stem(self, stem: str, folder: str | None = None) -> list[File]:
        """Return the files of a stem, in order; of one folder if that is given, both in composed Unicode."""
        if folder is None or not self._list(folder):
            self._index_stems()
        return self._remembered(stem, folder)

    def any_below(self, folder: str) -> bool:
        """Return whether there is a file below a folder."""
        self._list(folder)
        if not self._has_below(folder):
            self._list_all()
        return self._has_below(folder)

    def _has_below(self, folder: str) -> bool:
        try:
            return bool(self._database.all(BELOW, (folder + "/", folder + chr(ord("/") + 1))))
        except UnicodeEncodeError:
            return False

    def name(self, files: Iterable[File]) -> None:
        """Note that a transcript has named some files."""
        for number, _, _ in files:
            self._fit(number)
            self._named[number >> 3] |= 1 << (number & 7)

    def _fit(self, number: int) -> None:
        """Make room in the bits of what was named."""
        if number >> 3 >= len(self._named):
            self._named.extend(bytes((self._count >> 3) + 1 - len(self._named)))

    def name_none(self) -> None:
        """Forget which files were named."""
        self._named.clear()

    def unnamed(self) -> SortedTexts:
        """Return the locators that no transcript has named, and names that none can name."""
        self._list_all()
        self._fit(self._count)
        found = SortedTexts()
        for number, locator in self._database.each(f"SELECT files.number, {LOCATOR} FROM {JOINED}"):
            if not self._named[number >> 3] >> (number & 7) & 1:
                found.add(locator)
        for path in self.unnameable():
            found.add(path)
        return found

    def unnameable(self) -> Iterator[str]:
        """Yield the files whose names are not valid Unicode, which no output can hold."""
        self._list_all()
        return (path for (path,) in self._database.each("SELECT path FROM unnameable ORDER BY path"))


def _of_stem(database: Database, stem: str, folder: str | None) -> list[File]:
    wanted = (FOUND, (stem,)) if folder is None else (AT, (stem, folder and folder + "/"))
    try:
        found = [File(*row) for row in database.all(*wanted)]
    except UnicodeEncodeError:  # half a character, which no name here has
        return []
    return found if len(found) < 2 else sorted(found, key=lambda file: (nfc(file.locator), file.locator))
