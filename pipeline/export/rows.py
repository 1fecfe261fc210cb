"""Rows of a dataset as loaders of data take them: text, codes as numbers, and the recording if asked."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.dataset.recordings import Flac, Recordings
from pipeline.dataset.rows import SCHEMA

COLUMNS = tuple(SCHEMA.names)
ROWS_PER_FILE = 10_000  # some 50 MB of codes and texts
ROWS_PER_FILE_WITH_AUDIO = 1_000  # some 300 MB at 44.1 kHz


@dataclass(frozen=True)
class Row:
    """One row: its codes, uint16 (codes,), its recording if asked for, and its other columns."""

    codes: np.ndarray
    clip: Flac | None
    columns: dict[str, Any]  # those that have a value

    @property
    def codes_npy(self) -> bytes:
        """The codes as a NumPy file."""
        file = io.BytesIO()
        np.save(file, self.codes)
        return file.getvalue()


@dataclass(frozen=True)
class Rows:
    """Some rows of one shard, and where to read their recordings."""

    table: pa.Table
    shard: int
    recordings: Recordings | None

    def keep(self, mask: np.ndarray) -> Rows:
        """Return the rows where `mask`, bool (rows,), is true."""
        return Rows(self.table.filter(pa.array(mask)), self.shard, self.recordings)

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows; recordings are decoded one by one. Raises UsageError if one cannot be read."""
        spans = self.recordings.spans(self.shard) if self.recordings else {}
        for row in self.table.to_pylist():
            clip = None
            if self.recordings is not None:
                clip = self.recordings.flac(row["audio"], spans.get(row["id"], (None, None)))
            codes = np.array(row.pop("code"), np.uint16)
            yield Row(codes, clip, {name: value for name, value in row.items() if value is not None})
