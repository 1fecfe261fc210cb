"""Packs shards into the Parquet files of a published dataset: fewer and larger, with audio on request.

Packs are filled from the first shard on, so when a dataset grows only its last pack changes. The same shards
give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.audio.source import AudioSource
from pipeline.dataset.reader import Dataset
from pipeline.dataset.recordings import Recordings
from pipeline.dataset.rows import schema
from pipeline.errors import UsageError

ROWS_PER_FILE = 100_000  # about 100 MB of codes and text
ROWS_PER_FILE_WITH_AUDIO = 2_000
ROWS_PER_GROUP = 1_000
ROWS_PER_GROUP_WITH_AUDIO = 100  # what a viewer or a stream reads at once
AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])  # what `datasets` calls an Audio


@dataclass(frozen=True)
class Pack:
    """Shards that go into one file."""

    path: str  # in the repository
    shards: tuple[int, ...]


@dataclass(frozen=True)
class Packed:
    """What was written."""

    rows: int
    bytes: int  # in memory, uncompressed


def packs(dataset: Dataset, with_audio: bool) -> list[Pack]:
    """Return how the finished shards that have rows are packed. Raises UsageError if none has."""
    limit = ROWS_PER_FILE_WITH_AUDIO if with_audio else ROWS_PER_FILE
    groups: list[list[int]] = []
    filled = limit
    for state in dataset.states():
        if state.rows == 0:
            continue
        if filled + state.rows > limit:
            groups.append([])
            filled = 0
        groups[-1].append(state.shard)
        filled += state.rows
    if not groups:
        raise UsageError(f"{dataset.root} has no finished rows to publish: run `create` first")
    return [
        Pack(f"data/{dataset.split}-{number:05d}.parquet", tuple(shards))
        for number, shards in enumerate(groups)
    ]


def write_pack(
    dataset: Dataset, pack: Pack, columns: Sequence[str], source: AudioSource | None, path: Path
) -> Packed:
    """Write the rows of a pack with just `columns` to `path`.

    With a source, the column `audio` holds the recordings' files as they are, and what they are called there.
    """
    wanted = schema(columns)
    if source is not None:
        wanted = wanted.set(wanted.get_field_index("audio"), pa.field("audio", AUDIO))
    rows = size = 0
    with pq.ParquetWriter(path, wanted, compression="zstd", write_page_index=True) as writer:
        for table in _tables(dataset, pack, columns, source):
            writer.write_table(table.cast(wanted))
            rows += len(table)
            size += table.nbytes
    return Packed(rows, size)


def _tables(
    dataset: Dataset, pack: Pack, columns: Sequence[str], source: AudioSource | None
) -> Iterator[pa.Table]:
    """Yield the rows, a row group at a time; null if a shard lacks a column."""
    recordings = None if source is None else Recordings(dataset, source)
    for shard in pack.shards:
        table = dataset.table(shard)
        for field in schema(columns):
            if field.name not in table.column_names:
                table = table.append_column(field, pa.nulls(len(table), field.type))
        table = table.select(list(columns))
        if recordings is None:
            for start in range(0, len(table), ROWS_PER_GROUP):
                yield table.slice(start, ROWS_PER_GROUP)
            continue
        at = table.schema.get_field_index("audio")
        for start in range(0, len(table), ROWS_PER_GROUP_WITH_AUDIO):
            part = table.slice(start, ROWS_PER_GROUP_WITH_AUDIO)
            yield part.set_column(at, pa.field("audio", AUDIO), _embedded(part, shard, recordings))


def _embedded(table: pa.Table, shard: int, recordings: Recordings) -> pa.Array:
    spans = recordings.spans(shard)
    found: list[dict[str, Any]] = []
    for name, locator in zip(table["id"].to_pylist(), table["audio"].to_pylist(), strict=True):
        if name in spans:
            found.append({"bytes": recordings.flac(locator, spans[name]).content, "path": f"{name}.flac"})
        else:
            found.append({"bytes": recordings.original(locator), "path": locator})
    return pa.array(found, AUDIO)
