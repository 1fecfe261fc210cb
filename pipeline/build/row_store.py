"""Manifest rows by their number or id, however many: a temporary database that leaves memory as it grows."""

from __future__ import annotations

import pickle

from pipeline.dataset.manifest import ManifestRow
from pipeline.storage.on_disk import Database


class RowStore:
    """Rows under their numbers; those of one id also in the order of their numbers."""

    def __init__(self) -> None:
        self._database = Database("rows(number INTEGER PRIMARY KEY, id TEXT, content BLOB)")
        self._database.run("CREATE INDEX by_id ON rows(id, number)")
        self.close = self._database.close

    def __len__(self) -> int:
        return int(self._database.all("SELECT count(*) FROM rows")[0][0])

    def add(self, number: int, row: ManifestRow) -> None:
        """Keep a row under a number that is new."""
        content = pickle.dumps(row, pickle.HIGHEST_PROTOCOL)
        self._database.run("INSERT INTO rows VALUES (?, ?, ?)", (number, row.utterance.id, content))

    def take(self, id: str) -> tuple[int, ManifestRow] | None:
        """Return the first row of an id with its number, and drop it; None if there is none."""
        wanted = "SELECT number, content FROM rows WHERE id = ? ORDER BY number LIMIT 1"
        found = self._database.all(wanted, (id,))
        if not found:
            return None
        number, content = found[0]
        self._database.run("DELETE FROM rows WHERE number = ?", (number,))
        return number, pickle.loads(content)

    def between(self, first: int, end: int) -> dict[int, ManifestRow]:
        """Return the rows with numbers from `first` to before `end`, by their number."""
        wanted = "SELECT number, content FROM rows WHERE number >= ? AND number < ?"
        return {
            number: pickle.loads(content) for number, content in self._database.each(wanted, (first, end))
        }
