"""Rows of different lengths in one flat array, so that no code is ever touched one by one in Python.

Functions of `(values, lengths)` take the array, one-dimensional, and the length of each row, int64 of shape
(rows,) with `lengths.sum() == len(values)`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class Ragged:
    """Rows in one array: `values`, integers (sum of lengths,), row after row; `lengths`, int64 (rows,)."""

    values: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    def keep(self, mask: np.ndarray) -> Ragged:
        """Return the rows where `mask`, bool (rows,), is true."""
        if mask.all():
            return self
        return Ragged(self.values[np.repeat(mask, self.lengths)], self.lengths[mask])

    def offsets(self) -> np.ndarray:
        """Return where each row begins, and the end of the last: int64 (rows + 1,)."""
        return np.concatenate([[0], np.cumsum(self.lengths)])


def from_lists(rows: Sequence[Sequence[int]]) -> Ragged:
    """Join lists of token ids."""
    lengths = np.fromiter((len(row) for row in rows), np.int64, len(rows))
    values = np.fromiter(itertools.chain.from_iterable(rows), np.int32, int(lengths.sum()))
    return Ragged(values, lengths)


def from_arrow(column: pa.ChunkedArray) -> Ragged:
    """Return a column of lists without nulls, its values as they are stored."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # no rows, or too many for one array's offsets
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=column.type)
    offsets = array.offsets.to_numpy()
    values = array.values.to_numpy()[offsets[0] : offsets[-1]]
    return Ragged(values, np.diff(offsets).astype(np.int64))


def constant(ids: Sequence[int], rows: int) -> Ragged:
    """Repeat the same ids in each of `rows` rows."""
    return Ragged(np.tile(np.asarray(ids, np.int32), rows), np.full(rows, len(ids), np.int64))


def joined(pieces: Sequence[Ragged]) -> Ragged:
    """Join each piece's row to one row."""
    lengths: np.ndarray = np.stack([piece.lengths for piece in pieces]).sum(axis=0)
    out = np.empty(int(lengths.sum()), np.int32)
    _place(out, np.cumsum(lengths) - lengths, pieces)
    return Ragged(out, lengths)


def padded(pieces: Sequence[Ragged], width: int, padding: int) -> np.ndarray:
    """Return `joined(pieces)` as int32 (rows, width); no row may be longer than `width`."""
    rows = len(pieces[0])
    out = np.full((rows, width), padding, np.int32)
    _place(out.reshape(-1), np.arange(rows, dtype=np.int64) * width, pieces)
    return out


def _place(out: np.ndarray, starts: np.ndarray, pieces: Sequence[Ragged]) -> None:
    """Copy row r of each piece, one after the other, to `out` from `starts[r]` on."""
    at = starts
    for piece in pieces:
        shift = at - (np.cumsum(piece.lengths) - piece.lengths)  # from the place in `values` to that in `out`
        out[np.arange(len(piece.values)) + np.repeat(shift, piece.lengths)] = piece.values
        at = at + piece.lengths


def starts(lengths: np.ndarray) -> np.ndarray:
    """Return where each row begins: int64 (rows,)."""
    first: np.ndarray = np.cumsum(lengths) - lengths
    return first


def row_sums(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Sum of each row, 0 for an empty one, in the dtype of `values` (int64 for booleans)."""
    counted = values.astype(np.int64) if values.dtype == bool else values
    sums = np.zeros(len(lengths), counted.dtype)
    filled = lengths > 0
    if filled.any():
        sums[filled] = np.add.reduceat(counted, starts(lengths)[filled])
    return sums


def row_ends(lengths: np.ndarray) -> np.ndarray:
    """Return booleans of shape (values,): true at the last value of each row."""
    ends = np.zeros(int(lengths.sum()), bool)
    ends[np.cumsum(lengths)[lengths > 0] - 1] = True
    return ends


def runs(values: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the longest run of one value in each row, and the run that ends it: int64 (rows,)."""
    longest, last = np.zeros(len(lengths), np.int64), np.zeros(len(lengths), np.int64)
    if len(values) == 0:
        return longest, last
    breaks = row_ends(lengths)
    breaks[:-1] |= values[1:] != values[:-1]
    ends = np.flatnonzero(breaks) + 1
    sizes = np.diff(ends, prepend=0)
    filled = lengths > 0
    row_end = np.cumsum(lengths)[filled]
    last_run = np.searchsorted(ends, row_end)
    first_run = np.concatenate([[0], last_run[:-1] + 1])
    longest[filled] = np.maximum.reduceat(sizes, first_run)
    last[filled] = sizes[last_run]
    return longest, last


def repeats(values: np.ndarray, lengths: np.ndarray, max_period: int) -> np.ndarray:
    """Return each row's longest stretch, (rows,), that repeats with a period of 2 to `max_period`.

    A stretch is a run of positions whose value comes again one period later, plus that period; stretches
    of fewer than three periods, and those of a single value, count as 0.
    """
    longest, begins = np.zeros(len(lengths), np.int64), starts(lengths)
    for period in range(2, max_period + 1):
        same = _same_after(values, lengths, period)
        enough = np.flatnonzero(row_sums(same, lengths) >= 2 * period)
        for row in enough:  # few: speech hardly ever repeats itself code by code
            codes = values[begins[row] : begins[row] + lengths[row]]
            longest[row] = max(longest[row], _stretch(codes, period))
    return longest


def _same_after(values: np.ndarray, lengths: np.ndarray, period: int) -> np.ndarray:
    """Return whether the value one period later, in the same row, is the same: booleans (values,)."""
    same = np.zeros(len(values), bool)
    same[:-period] = values[period:] == values[:-period]
    if same.any():
        places = np.flatnonzero(same)
        row = np.searchsorted(np.cumsum(lengths), places, side="right")
        same[places] = places + period < np.cumsum(lengths)[row]
    return same


def _stretch(codes: np.ndarray, period: int) -> int:
    """Return the longest stretch of one row with this period, 0 without one: see `repeats`."""
    same = np.append(codes[period:] == codes[:-period], False)
    ends = np.flatnonzero(~same)
    sizes = np.diff(ends, prepend=-1) - 1
    for place in np.argsort(-sizes, kind="stable"):
        size, end = int(sizes[place]), int(ends[place])
        if size < 2 * period:
            break
        stretch = codes[end - size : end + period]
        if (stretch != stretch[0]).any():
            return size + period
    return 0
