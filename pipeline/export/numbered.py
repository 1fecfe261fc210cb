"""Deals the rows of a split to numbered files of so many rows each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path
from typing import Protocol

from pipeline.export.rows import Row, Rows


class NumberedFile(Protocol):
    """One of the files, which takes rows until it is closed."""

    def add(self, row: Row) -> None:
        """Append a row."""

    def close(self) -> None:
        """Finish the file."""


class NumberedFiles(ABC):
    """Appends to the file of a split, and goes on to a further one when it is full."""

    def __init__(self, folder: Path, rows_per_file: int) -> None:
        self._folder = folder
        self._rows_per_file = rows_per_file
        self._open: dict[str, NumberedFile] = {}
        self._rows: Counter[str] = Counter()

    @abstractmethod
    def begin(self, split: str, number: int, *, with_audio: bool) -> NumberedFile:
        """Return a new file of a split."""

    def write(self, split: str, rows: Rows) -> None:
        """Append the rows of a split."""
        for row in rows:
            number, within = divmod(self._rows[split], self._rows_per_file)
            if within == 0:
                if split in self._open:
                    self._open[split].close()
                self._open[split] = self.begin(split, number, with_audio=row.clip is not None)
            self._open[split].add(row)
            self._rows[split] += 1

    def close(self) -> None:
        """Finish the files."""
        for file in self._open.values():
            file.close()
