"""Which of very many rows are the same, by 64-bit hashes, in bounded memory.

Holds hashes in memory up to a limit, then on disk in buckets that are looked at one after another.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

HELD = 1 << 22  # hashes in memory before they go to disk: 64 MiB with their rows
BUCKETS = 64
ENTRY = np.dtype([("hash", np.uint64), ("row", np.uint64)])


@dataclass(frozen=True)
class Repeated:
    """Rows that are the same as an earlier one; `examples`: (row, the first row like it), row numbers."""

    rows: int
    examples: list[tuple[int, int]]


class Duplicates:
    """Collects hashes of rows; `folder` holds what memory does not; `name` tells collectors apart."""

    def __init__(self, folder: Path, name: str, held: int = HELD) -> None:
        self._folder, self._name, self._limit = folder, name, held
        self._held: list[np.ndarray] = []
        self._count = 0
        self._spilled = False

    def add(self, hashes: np.ndarray, first_row: int) -> None:
        """Add hashes, uint64 (rows,), of rows numbered from `first_row`."""
        entries = np.empty(len(hashes), ENTRY)
        entries["hash"] = hashes
        entries["row"] = np.arange(first_row, first_row + len(hashes), dtype=np.uint64)
        self._held.append(entries)
        self._count += len(entries)
        if self._count >= self._limit:
            self._spill()

    def found(self, examples: int) -> Repeated:
        """Count the repeated rows and name up to `examples` of them; removes what lies on disk."""
        if not self._spilled:
            return _repeated(np.concatenate(self._held) if self._held else np.empty(0, ENTRY), examples)
        self._spill()
        total, named = 0, list[tuple[int, int]]()
        for bucket in range(BUCKETS):
            part = _repeated(np.fromfile(self._path(bucket), ENTRY), examples - len(named))
            total += part.rows
            named += part.examples
            self._path(bucket).unlink()
        return Repeated(total, named)

    def _spill(self) -> None:
        if not self._spilled:
            self._folder.mkdir(parents=True, exist_ok=True)
            for bucket in range(BUCKETS):
                self._path(bucket).write_bytes(b"")  # what a killed run left is not of this one
            self._spilled = True
        entries = np.concatenate(self._held) if self._held else np.empty(0, ENTRY)
        bucket_of = entries["hash"] >> np.uint64(58)
        for bucket in range(BUCKETS):
            with self._path(bucket).open("ab") as file:
                entries[bucket_of == bucket].tofile(file)
        self._held, self._count = [], 0

    def _path(self, bucket: int) -> Path:
        return self._folder / f"{self._name}-{bucket:02d}.hashes"


def _repeated(entries: np.ndarray, examples: int) -> Repeated:
    """Sort equal hashes side by side; the first of them, by row, is not repeated."""
    ordered = np.sort(entries, order=("hash", "row"))
    same = np.flatnonzero(ordered["hash"][1:] == ordered["hash"][:-1]) + 1
    first = np.maximum.accumulate(np.where(_changes(ordered["hash"]), np.arange(len(ordered)), 0))
    named = same[: max(examples, 0)]
    pairs = zip(ordered["row"][named].tolist(), ordered["row"][first[named]].tolist(), strict=True)
    return Repeated(len(same), list(pairs))


def _changes(values: np.ndarray) -> np.ndarray:
    changed = np.ones(len(values), bool)
    changed[1:] = values[1:] != values[:-1]
    return changed
