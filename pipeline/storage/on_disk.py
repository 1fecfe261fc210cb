"""Collections that leave memory as they grow, in a temporary database without a name.

SQLite keeps a small one in memory and writes a larger one to the temporary folder, where its space is free
again when the collection goes. Texts may hold what is no character, such as names of files do: they are kept
as bytes that sort as the texts do.
"""

from __future__ import annotations

import errno
import heapq
import os
import pickle
import sqlite3
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Generic, TypeVar

CACHE_KIB = 64 << 10  # of a database that stay in memory
PRAGMAS = ("journal_mode=OFF", "synchronous=OFF", "secure_delete=OFF")  # nobody reads it after a crash
BATCH = 4096  # rows written together
HELD = 1 << 17  # values of a `DiskMap`, texts of a `SmallestFirst`, in memory before they go to a database
REFUSALS = {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_CANTOPEN: errno.EACCES}
WHERE = "the temporary folder (TMPDIR)"

T = TypeVar("T")
Row = tuple[Any, ...]


class Database:
    """A temporary SQLite database, for one thread at a time; what its disk refuses is an OSError."""

    def __init__(self, *tables: str) -> None:
        """Create `tables`, each said by its columns: `files(number INTEGER PRIMARY KEY, name)`."""
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self.close = weakref.finalize(self, self._connection.close)
        for pragma in (f"cache_size=-{CACHE_KIB}", *PRAGMAS):
            self._connection.execute(f"PRAGMA {pragma}")
        for table in tables:
            self.run(f"CREATE TABLE {table}")

    def run(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Run a statement that returns nothing."""
        with _as_oserror():
            self._connection.execute(sql, values)

    def insert(self, sql: str, rows: Iterable[Row]) -> None:
        """Run a statement for each row, many together."""
        iterator = iter(rows)
        while batch := list(islice(iterator, BATCH)):
            with _as_oserror():
                self._connection.execute("BEGIN")
                self._connection.executemany(sql, batch)
                self._connection.execute("COMMIT")

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return the rows of a query that are few."""
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            raise _refused(error) from error

    def each(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Row]:
        """Yield the rows of a query."""
        with _as_oserror():
            rows = self._connection.execute(sql, values)
        while True:
            with _as_oserror():
                batch = rows.fetchmany(BATCH)
            if not batch:
                return
            yield from batch


@contextmanager
def _as_oserror() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise _refused(error) from error


def _refused(error: sqlite3.OperationalError) -> OSError:
    number = REFUSALS.get(error.sqlite_errorcode & 0xFF, errno.EIO)
    return OSError(number, os.strerror(number), WHERE)


def pack(text: str) -> bytes:
    """Return a text as bytes that sort as the texts do."""
    return text.encode("utf-8", "surrogatepass")


def unpack(content: bytes) -> str:
    """Return the text that `pack` was given."""
    return content.decode("utf-8", "surrogatepass")


class SortedTexts:
    """Texts in the order of a key, however many were added; those of one key in their own order."""

    def __init__(self) -> None:
        self._database: Database | None = None
        self._added: list[tuple[bytes, bytes | None]] = []
        self._count = 0

    def add(self, text: str, key: str | None = None) -> None:
        """Add a text; without a key it is its own."""
        packed = pack(text)
        self._added.append((packed, None) if key is None or key == text else (pack(key), packed))
        self._count += 1
        if len(self._added) == BATCH:
            self._spill()

    def _spill(self) -> Database:
        if self._database is None:
            self._database = Database("texts(key BLOB, text BLOB)")
        self._database.insert("INSERT INTO texts VALUES (?, ?)", self._added)
        self._added.clear()
        return self._database

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        if self._database is None:
            held = sorted((key, key if text is None else text) for key, text in self._added)
            return (unpack(text) for _, text in held)
        found = self._spill().each("SELECT coalesce(text, key) FROM texts ORDER BY key, coalesce(text, key)")
        return (unpack(text) for (text,) in found)


class SmallestFirst:
    """Texts, however many, of which the one with the smallest key is taken first."""

    def __init__(self) -> None:
        self._held: list[tuple[bytes, bytes]] = []
        self._database: Database | None = None

    def add(self, text: str, key: str) -> None:
        """Add a text."""
        heapq.heappush(self._held, (pack(key), pack(text)))
        if len(self._held) > HELD:
            self._spill()

    def _spill(self) -> None:
        if self._database is None:
            self._database = Database("texts(key BLOB, text BLOB, PRIMARY KEY(key, text)) WITHOUT ROWID")
        self._database.insert("INSERT OR IGNORE INTO texts VALUES (?, ?)", self._held)
        self._held.clear()

    def pop(self) -> str | None:
        """Take the text with the smallest key, of equal keys the smallest text; None if none is left."""
        if self._database is not None:
            least = self._database.all("SELECT key, text FROM texts ORDER BY key, text LIMIT 1")
            if least and (not self._held or least[0] < self._held[0]):
                self._database.run("DELETE FROM texts WHERE key = ? AND text = ?", least[0])
                return unpack(least[0][1])
        return unpack(heapq.heappop(self._held)[1]) if self._held else None


class DiskMap(Generic[T]):
    """Values by name, however many; the last value given to a name counts."""

    def __init__(self) -> None:
        self._held: dict[str, T] = {}
        self._database: Database | None = None

    def __setitem__(self, name: str, value: T) -> None:
        self._held[name] = value
        if len(self._held) >= HELD:
            self._spill()

    def _spill(self) -> Database:
        if self._database is None:
            self._database = Database("pairs(name BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")
        rows = ((pack(name), pickle.dumps(value)) for name, value in self._held.items())
        self._database.insert("INSERT OR REPLACE INTO pairs VALUES (?, ?)", rows)
        self._held.clear()
        return self._database

    def get(self, name: str) -> T | None:
        """Return the value of a name; None if it has none."""
        if name in self._held or self._database is None:
            return self._held.get(name)
        found = self._database.all("SELECT value FROM pairs WHERE name = ?", (pack(name),))
        return pickle.loads(found[0][0]) if found else None

    def values(self) -> Iterator[T]:
        """Yield the values in the order of their names."""
        if self._database is None:
            return (value for _, value in sorted(self._held.items(), key=lambda pair: pair[0]))
        found = self._spill().each("SELECT value FROM pairs ORDER BY name")
        return (pickle.loads(value) for (value,) in found)
