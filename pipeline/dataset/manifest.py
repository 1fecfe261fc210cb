"""The manifest: every utterance of the corpus, one Parquet row each, in order, one row group a shard.

`manifest/part-00000.parquet` begins the first plan; each time the corpus grows, chunks are added and older
ones stay as they are. A chunk's metadata lists its shards with a digest of their rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import UsageError
from pipeline.storage.files import replacing

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("audio", pa.string()),
        ("text", pa.string()),
        ("speaker", pa.string()),
        ("language", pa.string()),
        ("start", pa.float64()),  # seconds into the recording; null: its beginning
        ("end", pa.float64()),
        ("size", pa.int64()),  # bytes of the source
        ("mtime_ns", pa.int64()),
        ("duration", pa.float64()),  # seconds, by the header
        ("sample_rate", pa.int32()),  # Hz, by the header
        ("reason", pa.string()),  # why it was rejected while planning; null: it goes to the codec
        ("detail", pa.string()),
    ]
)
Row = dict[str, Any]  # one row of SCHEMA
MAX_SHARDS = 1000  # row groups a part: its footer, which each look at a shard reads, stays below 2 MB
SHARDS = b"shards"  # metadata key: JSON list of {rows, digest}, one a row group


@dataclass(frozen=True)
class ShardPlan:
    """The manifest rows that make up one shard."""

    shard: int
    first_row: int
    rows: int
    digest: str
    part: Path
    group: int  # row group in that part

    def read(self) -> pa.Table:
        """Return the rows, as `SCHEMA`."""
        with self.part.open("rb") as file:
            return pq.ParquetFile(file).read_row_group(self.group)


class Manifest:
    """The chunks of a dataset's manifest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parts = sorted(folder.glob("part-*.parquet"))
        self.shards: list[ShardPlan] = []
        first_row = 0
        for part in self.parts:
            for group, entry in enumerate(_shard_list(part)):
                plan = ShardPlan(len(self.shards), first_row, entry["rows"], entry["digest"], part, group)
                self.shards.append(plan)
                first_row += plan.rows
        self.rows = first_row

    def append(self, groups: Iterable[list[Row]]) -> None:
        """Write rows as new chunks, a shard for each list.

        A UsageError raised by `groups` leaves no new chunk.
        """
        rest = iter(groups)
        written: list[Path] = []
        try:
            while write_part(part := self._part(len(self.parts) + len(written)), islice(rest, MAX_SHARDS)):
                written.append(part)
        except UsageError:
            for part in written:
                part.unlink()
            raise

    def _part(self, number: int) -> Path:
        return self.folder / f"part-{number:05d}.parquet"

    def read_rows(self) -> Iterator[Row]:
        """Yield every row, a shard in memory at a time."""
        for shard in self.shards:
            yield from shard.read().to_pylist()

    def columns_without_values(self, columns: Iterable[str]) -> list[str]:
        """Return those of `columns` in which every row is null, by the chunks' own counts."""
        nulls = dict.fromkeys(columns, 0)
        for part in self.parts:
            metadata = _metadata(part)
            for group in range(metadata.num_row_groups):
                for name in nulls:
                    column = metadata.row_group(group).column(SCHEMA.get_field_index(name))
                    nulls[name] += column.statistics.null_count
        return [name for name, count in nulls.items() if count == self.rows]

    def replace_rows(self, changes: Mapping[int, Row]) -> None:
        """Rewrite the chunks that hold the rows numbered in `changes`."""
        for part in self.parts:
            shards = [shard for shard in self.shards if shard.part == part]
            if any(
                row in changes for row in range(shards[0].first_row, shards[-1].first_row + shards[-1].rows)
            ):
                write_part(part, (_replaced(shard, changes) for shard in shards))


def write_part(path: Path, groups: Iterable[list[Row]]) -> bool:
    """Write rows as a chunk, a row group for each list; False, and no file, if there are none."""
    groups = iter(groups)
    first = next(groups, None)
    if first is None:
        return False
    shards = []
    with replacing(path) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        for rows in _chain(first, groups):
            table = pa.Table.from_pylist(rows, schema=SCHEMA)
            writer.write_table(table, row_group_size=len(rows))
            shards.append({"rows": len(rows), "digest": digest(table)})
        writer.add_key_value_metadata({SHARDS: json.dumps(shards).encode()})
    return True


def digest(table: pa.Table) -> str:
    """Return 16 hex digits over all values of some manifest rows."""
    return hashlib.sha256(json.dumps(table.to_pydict(), ensure_ascii=False).encode()).hexdigest()[:16]


def _metadata(part: Path) -> Any:
    with part.open("rb") as file:
        return pq.read_metadata(file)


def _shard_list(part: Path) -> list[dict[str, Any]]:
    metadata = _metadata(part).metadata
    shards: list[dict[str, Any]] = json.loads(metadata[SHARDS])
    return shards


def _replaced(shard: ShardPlan, changes: Mapping[int, Row]) -> list[Row]:
    rows = shard.read().to_pylist()
    return [changes.get(number, row) for number, row in enumerate(rows, start=shard.first_row)]


def _chain(first: list[Row], rest: Iterable[list[Row]]) -> Iterator[list[Row]]:
    yield first
    yield from rest
