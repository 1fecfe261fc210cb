"""What an annotator is: a name and a version, columns, and how they are measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from pipeline.dataset.reader import Dataset
from pipeline.ragged import Ragged

Values = Mapping[str, Any]  # by column


@dataclass(frozen=True)
class Column:
    """A column of figures: its type, and what it says, with its unit."""

    type: pa.DataType
    meaning: str


@dataclass(frozen=True)
class Rows:
    """A shard's rows: `table` as `rows.SCHEMA`, `codes`, and the number in the dataset of the first."""

    table: pa.Table
    codes: Ragged
    first_row: int

    def one(self, place: int) -> Rows:
        """Return the row at a place."""
        begin, end = self.codes.offsets()[place : place + 2]
        codes = Ragged(self.codes.values[begin:end], self.codes.lengths[place : place + 1])
        return Rows(self.table.slice(place, 1), codes, self.first_row + place)


class Annotator(Protocol):
    """What every annotator tells of itself. What it finds in a row depends on that row alone.

    `version` changes when the same row would get other figures; `settings` are what else they depend on.
    """

    name: str
    version: int
    columns: ClassVar[Mapping[str, Column]]
    settings: Mapping[str, Any]


@runtime_checkable
class RowAnnotator(Annotator, Protocol):
    """Measures what the rows hold."""

    def annotate(self, rows: Rows) -> Values:
        """Return an array or list (rows,) for each column, None where there is no figure."""
        ...


@runtime_checkable
class ClipAnnotator(Annotator, Protocol):
    """Measures recordings; each is decoded once for all that hear it. Called in several threads."""

    def hear(self, waveform: np.ndarray, rate: int) -> Values:
        """Return the figures of one recording, float32 (samples,), mono, at its own `rate` in Hz."""
        ...


@runtime_checkable
class SpeechAnnotator(Annotator, Protocol):
    """Measures recordings by what their rows say. Called in one thread, so that it may hold a device."""

    def compare(self, waveform: np.ndarray, rate: int, row: Mapping[str, Any]) -> Values:
        """Return the figures of one recording, as `ClipAnnotator.hear`; `row`: its columns but the codes."""
        ...


@runtime_checkable
class DatasetAnnotator(RowAnnotator, Protocol):
    """Compares the rows with each other: one more or fewer changes the figures of all.

    It comes after the others, whose figures it may read.
    """

    def prepare(self, dataset: Dataset) -> None:
        """Look at the whole dataset; comes before the first `annotate`."""
        ...
