"""Chooses the shapes of a dataset's batches from its manifest, and tells the codec what to expect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow.parquet as pq

from pipeline.codec.protocol import Codec
from pipeline.codec.shapes import Shape, choose_shapes, codes_of
from pipeline.config import Settings
from pipeline.dataset.manifest import Manifest, ShardPlan

SHARDS_READ = 32  # of a manifest, evenly spread, for the durations of its utterances


def announce(codec: Codec, manifest: Manifest, settings: Settings) -> tuple[Shape, ...]:
    """Return the batch shapes for a dataset, having told the codec of them and of the hours to encode.

    They follow from the manifest and the settings alone, so every process and every later run has the same.
    """
    rate = codec.sample_rate / codec.hop_length  # codes a second
    read = manifest.shards[:: max(1, -(-len(manifest.shards) // SHARDS_READ))]
    durations = _durations(read)
    shapes = choose_shapes(
        codes_of(durations, rate),
        settings.output.shard_size,
        int(settings.load.batch_seconds * rate),
        int(codes_of([settings.limits.max_seconds], rate)[0]),
    )
    codec.expect(shapes, float(durations.sum()) * len(manifest.shards) / max(len(read), 1))
    return shapes


def _durations(shards: Sequence[ShardPlan]) -> np.ndarray:
    """Return the durations (seconds) of the utterances of some shards that go to the codec."""
    found = [np.empty(0)]
    for shard in shards:
        with shard.chunk.open("rb") as file:
            table = pq.ParquetFile(file).read_row_group(shard.group, columns=["duration", "reason"])
        kept = table.filter(table["reason"].is_null())["duration"].drop_null()
        found.append(kept.to_numpy())
    return np.concatenate(found)
