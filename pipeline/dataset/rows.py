"""The rows of a dataset: their schema, and its three file formats."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("code", pa.list_(pa.uint16())),
        ("duration", pa.float64()),  # seconds, of the source
        ("sample_rate", pa.int32()),  # Hz, of the source
        ("speaker", pa.string()),
        ("language", pa.string()),
        ("audio", pa.string()),  # the source's locator in its corpus
    ]
)
OPTIONAL = ("speaker", "language")  # left out when the corpus does not have them
ROWS_PER_GROUP = 1000  # rows a Parquet row group or Arrow batch
JSON_BLOCK = 1 << 26  # bytes of JSONL parsed at a time; a row must fit


def schema(columns: Sequence[str]) -> pa.Schema:
    """Return the fields of `SCHEMA` named in `columns`, in its order."""
    return pa.schema([field for field in SCHEMA if field.name in columns])


def write(path: Path, table: pa.Table, form: str) -> None:
    """Write `table` as `form` (jsonl, arrow, parquet). The same table gives the same bytes."""
    WRITERS[form](path, table)


def read(path: Path, form: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a file that `write` made; only `columns` where given."""
    return READERS[form](path, columns)


def append_jsonl(file: TextIO, table: pa.Table) -> None:
    """Add a line for each row to an open file."""
    for batch in table.to_batches(max_chunksize=ROWS_PER_GROUP):
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in batch.to_pylist())


def _write_jsonl(path: Path, table: pa.Table) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        append_jsonl(file, table)


def _read_jsonl(path: Path, columns: Sequence[str] | None) -> pa.Table:
    with path.open("rb") as file:
        first = file.readline()
    if not first:
        return schema(columns or SCHEMA.names).empty_table()
    # Without this, columns that the file does not have would come back full of nulls.
    there = schema(tuple(json.loads(first)))
    table = pyarrow.json.read_json(
        path,
        read_options=pyarrow.json.ReadOptions(block_size=min(path.stat().st_size, JSON_BLOCK)),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=there, newlines_in_values=False),
    )
    return table.select(there.names if columns is None else columns)


def _write_arrow(path: Path, table: pa.Table) -> None:
    # The stream form, because that is what `datasets` maps into memory.
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=ROWS_PER_GROUP)


def _read_arrow(path: Path, columns: Sequence[str] | None) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_stream(source).read_all()
    return table.select(columns) if columns is not None else table


def _write_parquet(path: Path, table: pa.Table) -> None:
    with pyarrow.parquet.ParquetWriter(
        path, table.schema, compression="zstd", write_page_index=True
    ) as writer:
        if len(table):  # a shard of no rows has no row group, which `datasets` could not stream
            writer.write_table(table, row_group_size=ROWS_PER_GROUP)


def _read_parquet(path: Path, columns: Sequence[str] | None) -> pa.Table:
    with path.open("rb") as file:
        return pyarrow.parquet.read_table(file, columns=None if columns is None else list(columns))


WRITERS: dict[str, Callable[[Path, pa.Table], None]] = {
    "jsonl": _write_jsonl,
    "arrow": _write_arrow,
    "parquet": _write_parquet,
}
READERS: dict[str, Callable[[Path, Sequence[str] | None], Any]] = {
    "jsonl": _read_jsonl,
    "arrow": _read_arrow,
    "parquet": _read_parquet,
}
