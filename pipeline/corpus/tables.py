"""Tables that a transcript refers to by keys, read only as far as it has referred to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pipeline.corpus.entry import Malformed
from pipeline.storage.on_disk import DiskMap

Row = tuple[str, str, str]  # position `file:line`, key, value


class Table:
    """Values by key, however many. Of several lines with one key the first counts; others are malformed.

    One in about the order of the transcript is read along with it, so that its length delays no entry.
    """

    def __init__(self, rows: Iterable[Row | Malformed], malformed: list[Malformed]) -> None:
        """Take rows, which may be read on the way; what is amiss with those read goes to `malformed`."""
        self._rows, self._malformed = iter(rows), malformed
        self._values, self._largest = DiskMap[str](), ""

    def get(self, key: str) -> str | None:
        """Return the value of a key, for which the table is read on; None if it has none."""
        value = self._values.get(key)
        if value is None:
            value = next((value for found, value in self._read() if found == key), None)
        return value

    def read_on(self) -> None:
        """Read the table to its end."""
        for _ in self._read():
            pass

    def _read(self) -> Iterator[tuple[str, str]]:
        for row in self._rows:
            if isinstance(row, Malformed):
                self._malformed.append(row)
                continue
            where, key, value = row
            # Most tables are sorted, and need no look at what was read.
            before = self._values.get(key) if key <= self._largest else None
            if before is None:
                self._values[key], self._largest = value, max(key, self._largest)
                yield key, value
            elif before != value:
                self._malformed.append(Malformed(where, f"names {key!r} once more; its first line counts"))
