"""Writes tar shards for the webdataset library (github.com/webdataset/webdataset) and `load_dataset`.

Of each row `{split}-000000.tar` has the members `000000000.json` (every column but the codes), `.npy` (the
codes, uint16), `.txt` (the text) and, if asked for, `.flac`. Keys are numbers, since the library ends a key
at the first dot of a name, and ids may have dots.
"""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.export.numbered import NumberedFile, NumberedFiles
from pipeline.export.rows import Row
from pipeline.export.tars import Tar


class WebDatasetWriter(NumberedFiles):
    """Appends to `{split}-000000.tar`, and on to further files."""

    def begin(self, split: str, number: int, *, with_audio: bool) -> NumberedFile:
        """See `NumberedFiles.begin`."""
        return _Shard(self._folder / f"{split}-{number:06d}.tar", number * self._rows_per_file)


class _Shard:
    def __init__(self, path: Path, first_row: int) -> None:
        self._tar, self._row = Tar(path), first_row

    def add(self, row: Row) -> None:
        key = f"{self._row:09d}"
        self._tar.add(f"{key}.json", json.dumps(row.columns, ensure_ascii=False).encode())
        self._tar.add(f"{key}.npy", row.codes_npy)
        self._tar.add(f"{key}.txt", row.columns["text"].encode())
        if row.clip is not None:
            self._tar.add(f"{key}.flac", row.clip.content)
        self._row += 1

    def close(self) -> None:
        self._tar.close()
