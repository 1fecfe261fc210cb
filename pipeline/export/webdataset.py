"""Writes tar shards for the webdataset library (github.com/webdataset/webdataset) and `load_dataset`.

Of each row `{split}-000000.tar` has the members `000000000.json` (every column but the codes), `.npy` (the
codes, uint16), `.txt` (the text) and, if asked for, `.flac`. Keys are numbers, since the library ends a key
at the first dot of a name, and ids may have dots.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from pipeline.export.rows import Rows
from pipeline.export.tars import Tar


class WebDatasetWriter:
    """Appends to `{split}-000000.tar`, and on to further files."""

    def __init__(self, folder: Path, rows_per_file: int) -> None:
        self._folder = folder
        self._rows_per_file = rows_per_file
        self._open: dict[str, Tar] = {}
        self._rows: Counter[str] = Counter()

    def write(self, split: str, rows: Rows) -> None:
        """Append the rows of a split."""
        for row in rows:
            number, within = divmod(self._rows[split], self._rows_per_file)
            if within == 0:
                self._begin(split, number)
            tar, key = self._open[split], f"{self._rows[split]:09d}"
            tar.add(f"{key}.json", json.dumps(row.columns, ensure_ascii=False).encode())
            tar.add(f"{key}.npy", row.codes_npy)
            tar.add(f"{key}.txt", row.columns["text"].encode())
            if row.clip is not None:
                tar.add(f"{key}.flac", row.clip.content)
            self._rows[split] += 1

    def _begin(self, split: str, number: int) -> None:
        if split in self._open:
            self._open[split].close()
        self._open[split] = Tar(self._folder / f"{split}-{number:06d}.tar")

    def close(self) -> None:
        """Finish the files."""
        for tar in self._open.values():
            tar.close()
