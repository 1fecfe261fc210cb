"""The manifest: every utterance of the corpus, one Parquet row each, in order, one row group a shard.

The rows are in chunks, `manifest/part-00000.parquet` and on, which are written one after the other while
planning goes on, and are never shortened: who sees a chunk may make its shards. Chunks double in length up to
MAX_SHARDS, so that there is work at once and yet few files. Each time the corpus grows, chunks are added and
older ones stay as they are. A chunk's metadata lists its shards with a digest of their rows.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import UsageError, naming
from pipeline.storage.files import remove, replacing
from pipeline.storage.paths import is_remote, local, read_each
from pipeline.utterance import Utterance

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
STATED = tuple(field.name for field in dataclasses.fields(Utterance))  # columns that a transcript fills
VALUES = {name: attrgetter(f"utterance.{name}" if name in STATED else name) for name in SCHEMA.names}
MAX_SHARDS = 250  # row groups a chunk: its footer, which each look at a shard reads, stays below 0.5 MB
BATCH = 4096  # rows read at a time where all are read
SHARDS = b"shards"  # metadata key: JSON list of {rows, digest}, one a row group


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """An utterance as planned: what its transcript and its file's header say, and why it was refused.

    The text of an utterance whose transcript could not be read is None.
    """

    utterance: Utterance
    size: int | None = None
    mtime_ns: int | None = None
    duration: float | None = None
    sample_rate: int | None = None
    reason: str | None = None
    detail: str | None = None

    @classmethod
    def of(cls, **values: Any) -> ManifestRow:
        """Build a row from its columns, by name."""
        stated = Utterance(**{name: values.pop(name) for name in STATED})
        return cls(stated, **values)

    def value(self, column: str) -> Any:
        """Return the value of a column of `SCHEMA`."""
        return VALUES[column](self)

    def __reduce__(self) -> tuple[type[ManifestRow], tuple[Any, ...]]:
        return ManifestRow, _FIELDS(self)  # as an utterance: quicker than the dataclass's own way


_FIELDS = attrgetter(*(field.name for field in dataclasses.fields(ManifestRow)))


@dataclass(frozen=True)
class ShardPlan:
    """The manifest rows that make up one shard."""

    shard: int
    first_row: int
    rows: int
    digest: str
    chunk: Path
    group: int  # row group in that file

    def read(self) -> pa.Table:
        """Return the rows, as `SCHEMA`."""
        with reading(self.chunk) as file:
            return pq.ParquetFile(file).read_row_group(self.group)

    def rows_read(self) -> list[ManifestRow]:
        """Return the rows."""
        return [ManifestRow.of(**row) for row in self.read().to_pylist()]


class Manifest:
    """The chunks of a dataset's manifest, as they were when it was opened or last followed."""

    def __init__(self, folder: Path) -> None:
        """Read the chunks' footers. Raises UsageError for a chunk that is damaged or missing."""
        self.folder = folder
        self._open()

    def _open(self) -> None:
        self.chunks: list[Path] = []
        self.shards: list[ShardPlan] = []
        self.rows = 0
        self.follow()

    def follow(self) -> list[ShardPlan]:
        """Take in the chunks that were added since, and return their shards. Raises as opening does."""
        before = len(self.shards)
        found = sorted(self.folder.glob("part-*.parquet"))[len(self.chunks) :]
        for chunk, listed in zip(found, read_each(self.folder, _shard_list, found), strict=True):
            if chunk.name != self._next_chunk().name:
                raise damaged(self._next_chunk(), "is missing")
            self._take_in(chunk, listed)
        return self.shards[before:]

    def append(self, groups: Iterable[list[ManifestRow]], *, stood: int) -> Iterator[list[ShardPlan]]:
        """Write rows as new chunks, a shard for each list, and yield a chunk's shards once it is durable.

        A chunk is as long as those since shard `stood` together: so where one ends does not depend on
        whether planning was interrupted.
        """
        rest = iter(groups)
        while True:
            chunk, before = self._next_chunk(), len(self.shards)
            length = min(max(1, before - stood), MAX_SHARDS)
            if not write_chunk(chunk, itertools.islice(rest, length)):
                return
            self._take_in(chunk, _shard_list(chunk))
            yield self.shards[before:]

    def cut(self, shards: int) -> None:
        """Delete the chunks after the first `shards` shards."""
        while len(self.shards) > shards:
            chunk = self.chunks.pop()
            remove(chunk)
            self.shards = [shard for shard in self.shards if shard.chunk != chunk]
        self.rows = sum(shard.rows for shard in self.shards)

    def _take_in(self, chunk: Path, listed: list[dict[str, Any]]) -> None:
        for group, entry in enumerate(listed):
            self.shards.append(
                ShardPlan(len(self.shards), self.rows, entry["rows"], entry["digest"], chunk, group)
            )
            self.rows += entry["rows"]
        self.chunks.append(chunk)

    def _next_chunk(self) -> Path:
        return self.folder / chunk_name(len(self.chunks))

    def read_rows(self) -> Iterator[ManifestRow]:
        """Yield every row, some in memory at a time; each chunk is opened, and its footer read, once."""
        for chunk in self.chunks:
            with local(chunk) as copy, reading(chunk, copy) as file:
                for batch in pq.ParquetFile(file).iter_batches(BATCH):
                    for row in batch.to_pylist():
                        yield ManifestRow.of(**row)

    def columns_without_values(self, columns: Iterable[str]) -> list[str]:
        """Return those of `columns` in which every row is null, by the chunks' own counts."""
        nulls = dict.fromkeys(columns, 0)
        for chunk in self.chunks:
            metadata = _metadata(chunk)
            for group in range(metadata.num_row_groups):
                for name in nulls:
                    column = metadata.row_group(group).column(SCHEMA.get_field_index(name))
                    nulls[name] += column.statistics.null_count
        return [name for name, count in nulls.items() if count == self.rows]

    def replace_rows(self, changes: Callable[[int, int], Mapping[int, ManifestRow]]) -> None:
        """Rewrite the chunks of which rows have changed.

        `changes` returns the changed rows, by their number, from a first number to before another.
        """
        rewritten = False
        for chunk, of_chunk in itertools.groupby(self.shards, lambda shard: shard.chunk):
            shards = list(of_chunk)
            changed = [changes(shard.first_row, shard.first_row + shard.rows) for shard in shards]
            if any(changed):
                rewritten = write_chunk(
                    chunk, (_replaced(*each) for each in zip(shards, changed, strict=True))
                )
        if rewritten:
            self._open()  # digests are others


def chunk_name(number: int) -> str:
    """Return the file name of a chunk."""
    return f"part-{number:05d}.parquet"


def write_chunk(path: Path, groups: Iterable[list[ManifestRow]]) -> bool:
    """Write rows as a chunk, a row group for each list; False, and no file, if there are none."""
    groups = iter(groups)
    first = next(groups, None)
    if first is None:
        return False
    shards = []
    with replacing(path) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        for rows in itertools.chain([first], groups):
            arrays = [pa.array(map(VALUES[field.name], rows), field.type) for field in SCHEMA]
            table = pa.Table.from_arrays(arrays, schema=SCHEMA)
            writer.write_table(table, row_group_size=len(rows))
            shards.append({"rows": len(rows), "digest": digest(table)})
        writer.add_key_value_metadata({SHARDS: json.dumps(shards).encode()})
    return True


def digest(table: pa.Table) -> str:
    """Return 16 hex digits over all values of some manifest rows."""
    return hashlib.sha256(json.dumps(table.to_pydict(), ensure_ascii=False).encode()).hexdigest()[:16]


def damaged(chunk: Path, what: str) -> UsageError:
    """Return the error for a chunk that is not what was written."""
    return UsageError(
        f"{chunk} {what}: delete the folder {chunk.parent} and run `create` again, which plans anew "
        "and keeps the shards that are as planned"
    )


@contextlib.contextmanager
def reading(chunk: Path, copy: Path | None = None) -> Iterator[Any]:
    """Open a chunk, or the copy of it, for a block. Raises UsageError if it is not what was written."""
    try:
        with naming(chunk), _opened(copy or chunk) as file:
            yield file
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk, not the file
        raise damaged(chunk, "is damaged") from error


def _opened(path: Path) -> Any:
    # Not Python's file where it need not be: Arrow's threads let go of what they read of one when they come
    # to it, and abort the process if Python is ending.
    return path.open("rb") if is_remote(path) else pa.OSFile(str(path))


def _metadata(chunk: Path) -> Any:
    with reading(chunk) as file:
        return pq.read_metadata(file)


def _shard_list(chunk: Path) -> list[dict[str, Any]]:
    with reading(chunk) as file:
        metadata = pq.read_metadata(file)
        shards: list[dict[str, Any]] = json.loads(metadata.metadata[SHARDS])
        if [each["rows"] for each in shards] != [
            metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)
        ]:
            raise ValueError("row groups of other lengths than listed")
    return shards


def _replaced(shard: ShardPlan, changes: Mapping[int, ManifestRow]) -> list[ManifestRow]:
    numbered = enumerate(shard.rows_read(), start=shard.first_row)
    return [changes.get(number, row) for number, row in numbered]
