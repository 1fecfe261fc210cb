"""Manifest rows by their number or id, however many: a temporary database that leaves memory as it grows."""

from __future__ import annotations

import pickle
import sqlite3

from pipeline.dataset.manifest import ManifestRow

CACHE_KIB = 64 << 10  # of the database that stays in memory; the rest is in a file without a name


class RowStore:
    """Rows under their numbers; those of one id also in the order of their numbers."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for pragma in (f"cache_size=-{CACHE_KIB}", "journal_mode=OFF", "synchronous=OFF"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute("CREATE TABLE rows(number INTEGER PRIMARY KEY, id TEXT, content BLOB)")
        self._database.execute("CREATE INDEX by_id ON rows(id, number)")

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM rows").fetchone()[0])

    def add(self, number: int, row: ManifestRow) -> None:
        """Keep a row under a number that is new."""
        content = pickle.dumps(row, pickle.HIGHEST_PROTOCOL)
        self._database.execute("INSERT INTO rows VALUES (?, ?, ?)", (number, row.utterance.id, content))

    def take(self, id: str) -> tuple[int, ManifestRow] | None:
        """Return the first row of an id with its number, and drop it; None if there is none."""
        wanted = "SELECT number, content FROM rows WHERE id = ? ORDER BY number LIMIT 1"
        found = self._database.execute(wanted, (id,)).fetchone()
        if found is None:
            return None
        self._database.execute("DELETE FROM rows WHERE number = ?", found[:1])
        return found[0], pickle.loads(found[1])

    def between(self, first: int, end: int) -> dict[int, ManifestRow]:
        """Return the rows with numbers from `first` to before `end`, by their number."""
        wanted = "SELECT number, content FROM rows WHERE number >= ? AND number < ?"
        return {
            number: pickle.loads(content) for number, content in self._database.execute(wanted, (first, end))
        }

    def close(self) -> None:
        """Delete it."""
        self._database.close()
