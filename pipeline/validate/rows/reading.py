"""One shard's rows as arrays, even if they are not as they should be: says what is wrong with their form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from pipeline.dataset import rows
from pipeline.errors import PipelineError

NEEDED = tuple(name for name in rows.SCHEMA.names if name not in rows.OPTIONAL)


@dataclass(frozen=True)
class ShardRows:
    """Rows of a shard: `codes`, integers, row after row; `counts`, int64 (rows,), codes a row.

    `form_faults`: a sentence for each way in which the file departs from the schema.
    """

    table: pa.Table
    codes: np.ndarray
    counts: np.ndarray
    form_faults: list[str]

    def __len__(self) -> int:
        return len(self.counts)

    def numbers(self, column: str) -> np.ndarray:
        """Return a numeric column as float64 (rows,), NaN if there is no value."""
        values: np.ndarray = self.table[column].cast(pa.float64()).combine_chunks().to_numpy(False)
        return values

    def texts(self, column: str) -> pa.Array:
        """Return a text column, null if there is no value."""
        if column not in self.table.column_names:
            return pa.nulls(len(self), pa.string())
        return _joined(self.table[column].cast(pa.string()))


class Unreadable(PipelineError):
    """A shard's file that cannot be read as rows at all; the sentence names it."""


def read_shard(path: Path, form: str) -> ShardRows:
    """Read a data file of a dataset. Raises Unreadable when there are no rows with codes in it."""
    table, faults = _table(path, form)
    for name in NEEDED:
        if name not in table.column_names:
            faults.append(f"{path.name} has no column {name}")
            blank = pa.nulls(len(table), rows.SCHEMA.field(name).type)
            table = table.append_column(name, blank)
    for field in table.schema:
        if field.name not in rows.SCHEMA.names:
            faults.append(f"{path.name} has a column {field.name} that the schema does not know")
        elif not field.type.equals(rows.SCHEMA.field(field.name).type) and not pa.types.is_null(field.type):
            wanted = rows.SCHEMA.field(field.name).type
            faults.append(f"{path.name}: {field.name} is {field.type}, the schema says {wanted}")
    codes, counts = _codes(table["code"], path)
    return ShardRows(table, codes, counts, faults)


def _table(path: Path, form: str) -> tuple[pa.Table, list[str]]:
    try:
        return rows.read(path, form), []
    except FileNotFoundError as error:
        raise Unreadable(f"{path.name} is missing") from error
    except (ValueError, pa.ArrowNotImplementedError, OSError) as error:
        if form != "jsonl":
            raise Unreadable(f"{path.name} cannot be read: {_first_line(error)}") from error
        refused = _first_line(error)
    try:  # without a schema: numbers too large for a code come as they are, to be counted
        table = pyarrow.json.read_json(path)
    except (ValueError, OSError) as error:
        raise Unreadable(f"{path.name} cannot be read: {_first_line(error)}") from error
    return table, [f"{path.name} does not hold what the schema says: {refused}"]


def _codes(column: pa.ChunkedArray, path: Path) -> tuple[np.ndarray, np.ndarray]:
    lists = _joined(column)
    if pa.types.is_null(lists.type):
        return np.empty(0, np.uint16), np.zeros(len(lists), np.int64)
    if not (pa.types.is_list(lists.type) or pa.types.is_large_list(lists.type)):
        raise Unreadable(f"{path.name}: code is {lists.type}, not a list of integers")
    counts: np.ndarray = pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.int64)
    values = lists.flatten()
    if pa.types.is_null(values.type):
        return np.empty(0, np.uint16), np.zeros(len(lists), np.int64)
    if not pa.types.is_integer(values.type):
        raise Unreadable(f"{path.name}: code is a list of {values.type}, not of integers")
    return pc.fill_null(values, 0).to_numpy(), counts


def _joined(column: pa.ChunkedArray) -> pa.Array:
    """Join the chunks of a column to one array."""
    joined = column.combine_chunks()
    return joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def string_bytes(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return UTF-8 bytes of all texts, one after another, and how many each has; a null has none."""
    filled = pc.fill_null(texts, "")
    lengths: np.ndarray = pc.binary_length(filled).to_numpy().astype(np.int64)
    offset_width = np.int64 if pa.types.is_large_string(filled.type) else np.int32
    _, offsets, data = filled.buffers()
    if data is None:
        return np.empty(0, np.uint8), lengths
    first = np.frombuffer(offsets, offset_width)[filled.offset] if len(filled) else 0
    return np.frombuffer(data, np.uint8)[first : first + int(lengths.sum())], lengths
