"""The loop: shards in, finished shards out.

Loading runs ahead in worker processes and across shard borders, encoding runs on the device, writing in a
thread of its own; this thread only passes things on.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from pipeline.annotate.beside import Ear, Figures, hearing, names_of, write_heard
from pipeline.audio.source import AudioSource
from pipeline.build.batching import BatchShapes
from pipeline.build.encode import Codes, encode
from pipeline.build.handles import allow_files
from pipeline.codec.protocol import Codec
from pipeline.codec.shapes import Shape, codes_of, plan_batches
from pipeline.config import Settings
from pipeline.dataset import rows
from pipeline.dataset.manifest import ManifestRow, ShardPlan
from pipeline.dataset.reader import Dataset
from pipeline.dataset.state import State
from pipeline.dataset.writer import write_shard
from pipeline.loader import Batch, Request, load
from pipeline.loader.processes import worker_count
from pipeline.utterance import Clip, Encoded, Reason, Rejection

MAX_WRITING = 2  # shards waiting for the disk, each held in memory
NO_SHARD = -1  # key of an empty batch, which keeps the loop going while no shard is planned


class Watcher(Protocol):
    """Receives progress, for a progress bar."""

    def advanced(self, clips: int, rejected: int, seconds: float) -> None:
        """Count clips that were encoded (`seconds` of audio) and clips that were rejected."""
        ...


@dataclass
class _OpenShard:
    """A shard whose clips are on their way."""

    plan: ShardPlan
    rows: list[ManifestRow]
    batches_left: int
    encoded: dict[int, Encoded] = field(default_factory=dict)  # by manifest row
    rejections: dict[int, Rejection] = field(default_factory=dict)
    heard: dict[int, Figures | None] = field(default_factory=dict)  # by manifest row
    timings: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))


def encode_shards(
    shards: Iterable[ShardPlan | None],
    *,
    dataset: Dataset,
    source: AudioSource,
    codec: Codec,
    settings: Settings,
    columns: list[str],
    watcher: Watcher,
) -> Iterator[State]:
    """Make each shard's files and yield its state when they are durable, in the order of `shards`.

    A None among `shards` means that there is none at the moment; it must not come at once, again and again.
    Raises UsageError if this process may not open as many files as that takes.
    """
    allow_files(worker_count(settings.load.num_workers))
    open_shards: dict[int, _OpenShard] = {}
    full: deque[_OpenShard] = deque()
    marks = provenance(codec, settings)
    names = tuple(names_of(settings.run.annotate))
    annotators = hearing(names)
    shapes = BatchShapes(codec, settings)

    def batches() -> Iterator[tuple[int, list[Request]]]:
        for plan in shards:
            if plan is None:
                yield NO_SHARD, []
                continue
            shard, requests = _opened(plan, shapes.of(plan), codec, watcher)
            open_shards[plan.shard] = shard
            if not requests:
                full.append(open_shards.pop(plan.shard))
            for batch in requests:
                yield plan.shard, batch

    def announced(loaded: Iterator[Batch]) -> Iterator[Batch]:
        for batch in loaded:
            if batch.key != NO_SHARD:
                shapes.announce(open_shards[batch.key].plan)
            yield batch

    def write(shard: _OpenShard) -> State:
        started = time.perf_counter()
        table = _table(shard, columns)
        rejections = [shard.rejections[row] for row in sorted(shard.rejections)]
        if len(table) + len(rejections) != shard.plan.rows:
            raise AssertionError(
                f"shard {shard.plan.shard} lost clips: {len(table)} rows, {len(rejections)} rejected"
            )
        shard.timings["write"] += time.perf_counter() - started
        timings = {stage: round(seconds, 3) for stage, seconds in sorted(shard.timings.items())}
        fixed = {"inputs": shard.plan.digest, "codec": marks, "timings": timings}
        state = write_shard(dataset.files(shard.plan.shard), table, rejections, fixed)
        write_heard(
            dataset, state, annotators, table["id"], [shard.heard[row] for row in sorted(shard.heard)]
        )
        return state

    loaded = load(
        batches(),
        source=source,
        sample_rate=codec.sample_rate,
        settings=settings.load,
        limits=settings.limits,
        pin_memory=settings.codec.device != "cpu",
        listen=Ear(names) if annotators else None,
    )
    with ThreadPoolExecutor(1, thread_name_prefix="write") as writer:
        writing: deque[Future[State]] = deque()
        clock = _Clock()
        for batch, codes in encode(codec, announced(clock.timed(loaded, "load"))):
            if batch.key != NO_SHARD:
                shard = open_shards[batch.key]
                shard.timings["load"] += clock.take("load")
                _record_batch(shard, batch, codes, watcher)
                shard.timings["encode"] += clock.take("rest")
                if shard.batches_left == 0:
                    full.append(open_shards.pop(batch.key))
            while full:
                writing.append(writer.submit(write, full.popleft()))
            while writing and (writing[0].done() or len(writing) > MAX_WRITING):
                yield writing.popleft().result()
        while full:
            writing.append(writer.submit(write, full.popleft()))
        while writing:
            yield writing.popleft().result()


def provenance(codec: Codec, settings: Settings) -> dict[str, Any]:
    """Return what a state records of the codec that made its codes."""
    return {
        "name": codec.name,
        "licence": codec.licence,
        "fingerprint": codec.fingerprint,
        "sample_rate": codec.sample_rate,
        "hop_length": codec.hop_length,
        "codebook_size": codec.codebook_size,
        "extra_codes": codec.extra_codes,
        "precision": codec.precision,
    }


def _opened(
    plan: ShardPlan, shapes: Sequence[Shape], codec: Codec, watcher: Watcher
) -> tuple[_OpenShard, list[list[Request]]]:
    rows_planned = plan.rows_read()
    wanted = [number for number, row in enumerate(rows_planned) if row.reason is None]
    durations = [rows_planned[number].duration or 0.0 for number in wanted]
    groups = plan_batches(codes_of(durations, codec.sample_rate / codec.hop_length), shapes)
    requests = [
        [Request(plan.first_row + wanted[i], rows_planned[wanted[i]].utterance) for i in group]
        for group, _ in groups
    ]
    shard = _OpenShard(plan, rows_planned, len(requests))
    for number, row in enumerate(rows_planned, start=plan.first_row):
        if row.reason is not None:
            refused = row.utterance
            shard.rejections[number] = Rejection(
                refused.id, refused.audio, Reason(row.reason), row.detail or ""
            )
    watcher.advanced(0, len(shard.rejections), 0.0)
    return shard, requests


def _record_batch(shard: _OpenShard, batch: Batch, codes: Codes, watcher: Watcher) -> None:
    """Record what became of each clip of a batch."""
    shard.batches_left -= 1
    shard.rejections.update(batch.rejections)
    seconds, kept = 0.0, 0
    for clip, clip_codes in zip(batch.clips, codes, strict=True):
        if clip_codes is None or len(clip_codes) == 0:
            shard.rejections[clip.row] = _without_codes(shard, clip, fits=clip_codes is not None)
            continue
        shard.heard[clip.row] = clip.figures
        shard.encoded[clip.row] = Encoded(clip.row, clip_codes, clip.sample_rate, clip.duration)
        seconds += clip.duration
        kept += 1
    watcher.advanced(kept, len(batch.rejections) + len(batch.clips) - kept, seconds)


def _without_codes(shard: _OpenShard, clip: Clip, *, fits: bool) -> Rejection:
    utterance = shard.rows[clip.row - shard.plan.first_row].utterance
    reason = Reason.TOO_SHORT if fits else Reason.OUT_OF_MEMORY
    detail = f"{clip.duration:.3f} s " + (
        "are shorter than one code" if fits else "do not fit into the device's memory even alone"
    )
    return Rejection(utterance.id, utterance.audio, reason, detail)


def _table(shard: _OpenShard, columns: list[str]) -> pa.Table:
    """Return the shard's rows in manifest order, as `rows.schema(columns)`."""
    done = [shard.encoded[number] for number in sorted(shard.encoded)]
    planned = [shard.rows[item.row - shard.plan.first_row] for item in done]
    lengths = [len(item.codes) for item in done]
    values = np.concatenate([item.codes for item in done]) if done else np.empty(0, np.uint16)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    made = {
        "code": pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, pa.uint16())),
        "duration": pa.array([round(item.duration, 6) for item in done], pa.float64()),
        "sample_rate": pa.array([item.sample_rate for item in done], pa.int32()),
    }
    schema = rows.schema(columns)
    arrays = [
        made[name] if name in made else pa.array([row.value(name) for row in planned], pa.string())
        for name in schema.names
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


class _Clock:
    """Splits the seconds of this thread between waiting for an iterator and the rest."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._spent: defaultdict[str, float] = defaultdict(float)

    def timed(self, items: Iterable[Batch], stage: str) -> Iterator[Batch]:
        """Pass `items` on and count the time that each took to come."""
        iterator = iter(items)
        while True:
            self._spent["rest"] += self._lap()
            item = next(iterator, None)
            self._spent[stage] += self._lap()
            if item is None:
                return
            yield item

    def take(self, stage: str) -> float:
        """Return the seconds spent on `stage` since they were last taken."""
        self._spent["rest"] += self._lap()
        return self._spent.pop(stage, 0.0)

    def _lap(self) -> float:
        now = time.perf_counter()
        lap, self._last = now - self._last, now
        return lap
