"""Chooses the shapes of a dataset's batches from its manifest, and tells the codec what to expect.

Shapes follow from the manifest's chunks and the settings alone, and those of a shard from its own chunk and
the first one: so every process and every later run has the same, also while planning goes on.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pipeline.codec.protocol import Codec
from pipeline.codec.shapes import Shape, choose_shapes, codes_of, plan_batches
from pipeline.config import Settings
from pipeline.dataset.manifest import ShardPlan, chunk_name, reading

SHARDS_READ = 32  # of a chunk, evenly spread, for the durations of its utterances
TYPICAL = 1000  # of these durations, evenly spread by length, on which shapes are tried
MORE_PADDING = 0.03  # share of the work by which shapes may exceed a chunk's own and serve it all the same


class Chunk:
    """What the batches of a chunk's shards follow from."""

    def __init__(self, path: Path, codec: Codec, settings: Settings) -> None:
        self._path, self._codec, self._settings = path, codec, settings

    @cached_property
    def _sample(self) -> tuple[np.ndarray, int, int]:
        """The durations (seconds) of utterances that go to the codec, and the shards read and there."""
        found = [np.empty(0)]
        with reading(self._path) as file:
            chunk = pq.ParquetFile(file)
            groups = range(0, chunk.num_row_groups, -(-chunk.num_row_groups // SHARDS_READ))
            for group in groups:
                table = chunk.read_row_group(group, columns=["duration", "reason"])
                found.append(table.filter(table["reason"].is_null())["duration"].drop_null().to_numpy())
        return np.concatenate(found), len(groups), chunk.num_row_groups

    @property
    def shards(self) -> int:
        """Shards of the chunk."""
        return self._sample[2]

    @property
    def seconds(self) -> float:
        """Audio that the chunk has for the codec, estimated."""
        durations, read, there = self._sample
        return float(durations.sum()) * there / read

    @cached_property
    def lengths(self) -> np.ndarray:
        """Codes of the clips read: int64 (clips,)."""
        return codes_of(self._sample[0], self._rate)

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes that suit its clips best."""
        settings = self._settings
        return choose_shapes(
            self.lengths,
            settings.output.shard_size,
            int(settings.load.batch_seconds * self._rate),
            int(codes_of([settings.limits.max_seconds], self._rate)[0]),
        )

    def is_served_by(self, shapes: tuple[Shape, ...]) -> bool:
        """Return whether `shapes` pad its clips hardly more than its own would."""
        clips = np.sort(self.lengths)[:: max(1, len(self.lengths) // TYPICAL)]
        return len(clips) == 0 or _work(clips, shapes) <= (1 + MORE_PADDING) * _work(clips, self.shapes)

    @property
    def _rate(self) -> float:
        return self._codec.sample_rate / self._codec.hop_length  # codes a second


def _work(clips: np.ndarray, shapes: tuple[Shape, ...]) -> int:
    """Return the codes of the batches that `clips` make, padding counted."""
    return sum(shape.clips * shape.codes for _, shape in plan_batches(clips, shapes))


class BatchShapes:
    """The shapes of batches, chunk by chunk: those of the first as long as they serve, else the chunk's own.

    Few shapes are prepared that way, and a corpus whose later parts have clips of other lengths does not pay
    for its beginning.
    """

    def __init__(self, codec: Codec, settings: Settings) -> None:
        self._codec, self._settings = codec, settings
        self._chosen: dict[Path, tuple[tuple[Shape, ...], float]] = {}
        self._announced: tuple[tuple[Shape, ...], float] | None = None

    def of(self, shard: ShardPlan) -> tuple[Shape, ...]:
        """Return the shapes of a shard's batches."""
        return self._of_chunk(shard)[0]

    def announce(self, shard: ShardPlan) -> None:
        """Tell the codec of the shapes, and of the audio up to the end of the chunk, if they are new."""
        chosen = self._of_chunk(shard)
        if chosen != self._announced:
            self._codec.expect(*chosen)
            self._announced = chosen

    def _of_chunk(self, shard: ShardPlan) -> tuple[tuple[Shape, ...], float]:
        if shard.chunk not in self._chosen:
            own = Chunk(shard.chunk, self._codec, self._settings)
            first = Chunk(shard.chunk.with_name(chunk_name(0)), self._codec, self._settings)
            shapes = first.shapes if own.is_served_by(first.shapes) else own.shapes
            before = shard.shard - shard.group  # shards of earlier chunks
            self._chosen[shard.chunk] = shapes, own.seconds * (before + own.shards) / own.shards
        return self._chosen[shard.chunk]
