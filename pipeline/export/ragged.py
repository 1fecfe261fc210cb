"""Rows of different lengths as one flat array, so that no code is ever touched one by one in Python."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class Ragged:
    """`values`: integers of shape (sum of lengths,), row after row; `lengths`: int64 of shape (rows,)."""

    values: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    def keep(self, mask: np.ndarray) -> Ragged:
        """The rows where `mask`, bool of shape (rows,), is true."""
        if mask.all():
            return self
        return Ragged(self.values[np.repeat(mask, self.lengths)], self.lengths[mask])

    def offsets(self) -> np.ndarray:
        """Where each row begins, and the end of the last: int64 of shape (rows + 1,)."""
        return np.concatenate([[0], np.cumsum(self.lengths)])


def from_lists(rows: Sequence[Sequence[int]]) -> Ragged:
    """Lists of token ids."""
    lengths = np.fromiter((len(row) for row in rows), np.int64, len(rows))
    values = np.fromiter(itertools.chain.from_iterable(rows), np.int32, int(lengths.sum()))
    return Ragged(values, lengths)


def from_arrow(column: pa.ChunkedArray) -> Ragged:
    """A column of lists without nulls, its values as they are stored."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # no rows, or too many for one array's offsets
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=column.type)
    offsets = array.offsets.to_numpy()
    values = array.values.to_numpy()[offsets[0] : offsets[-1]]
    return Ragged(values, np.diff(offsets).astype(np.int64))


def constant(ids: Sequence[int], rows: int) -> Ragged:
    """The same ids in each of `rows` rows."""
    return Ragged(np.tile(np.asarray(ids, np.int32), rows), np.full(rows, len(ids), np.int64))


def joined(pieces: Sequence[Ragged]) -> Ragged:
    """Rows made of each piece's row, one after the other."""
    lengths: np.ndarray = np.stack([piece.lengths for piece in pieces]).sum(axis=0)
    out = np.empty(int(lengths.sum()), np.int32)
    _place(out, np.cumsum(lengths) - lengths, pieces)
    return Ragged(out, lengths)


def padded(pieces: Sequence[Ragged], width: int, padding: int) -> np.ndarray:
    """`joined(pieces)` as int32 of shape (rows, width); no row may be longer than `width`."""
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
