"""A few numbers of every row, kept until the whole dataset has been seen: in memory, then on disk.

16 bytes a row, so a hundred million rows take 1.6 GB of disk and a block of memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

FEATURE = np.dtype([("units", np.float32), ("seconds", np.float32), ("codes", np.int32), ("group", np.int32)])
HELD = 1 << 20  # rows in memory: 16 MiB


class RowFeatures:
    """Appends rows in order and gives them back in blocks; `path` is written only when memory is full."""

    def __init__(self, path: Path, held: int = HELD) -> None:
        self._path, self._limit = path, held
        self._held: list[np.ndarray] = []
        self._count = 0
        self._spilled = False

    def add(self, units: np.ndarray, seconds: np.ndarray, codes: np.ndarray, group: np.ndarray) -> None:
        """Add rows: text units, seconds, number of codes, number of the language; (rows,) each."""
        block = np.empty(len(units), FEATURE)
        for name, values in (("units", units), ("seconds", seconds), ("codes", codes), ("group", group)):
            block[name] = values
        self._held.append(block)
        self._count += len(block)
        if self._count >= self._limit:
            self._spill()

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield all rows in order, as `FEATURE`, at most about `held` at a time."""
        if self._spilled:
            with self._path.open("rb") as file:
                while len(block := np.fromfile(file, FEATURE, self._limit)):
                    yield block
        yield from self._held

    def close(self) -> None:
        """Remove what lies on disk."""
        if self._spilled:
            self._path.unlink()

    def _spill(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab" if self._spilled else "wb") as file:
            for block in self._held:
                block.tofile(file)
        self._held, self._count, self._spilled = [], 0, True
