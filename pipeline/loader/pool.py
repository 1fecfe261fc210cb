"""The parent's side of loading: a DataLoader whose workers may die or hang without ending the run.

Work is handed out and comes back in order, so what is in flight is always known. When a worker is lost, the
heartbeat table tells which clip it was at; that clip is decoded alone, and a new pool goes on with the work
in flight. No clip is lost and none comes twice. Time in which this process is stopped does not count.
"""

from __future__ import annotations

import multiprocessing
import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Any

import torch
from torch.utils.data import DataLoader

from pipeline.audio.source import AudioSource
from pipeline.config import LimitSettings, LoadSettings
from pipeline.loader.batch import Batch, Request
from pipeline.loader.crash_triage import GRACE, POLL, AwakeClock, CrashTriage, Lost, wake
from pipeline.loader.processes import fit_shared_memory, fork_server, worker_count
from pipeline.loader.worker import (
    ClipLoader,
    HeartbeatTable,
    Listen,
    PackedBatch,
    PackedBatches,
    Work,
    start_worker,
)

STALL = 120.0  # seconds without a batch while no worker is at a clip; covers a slow start
STOP = 1.0  # seconds a worker has to end when loading does, before it is made to


def load(
    batches: Iterable[tuple[int, list[Request]]],
    *,
    source: AudioSource,
    sample_rate: int,
    settings: LoadSettings,
    limits: LimitSettings,
    pin_memory: bool,
    listen: Listen | None = None,
) -> Iterator[Batch]:
    """Load batches of requests, each with its key, and yield them in the given order.

    `batches` is consumed as workers need it, so it may be endless. `sample_rate` (Hz) is the clips' own
    after resampling; `limits.max_seconds` bounds what is decoded of a file. `pin_memory` counts only on
    CUDA. `listen` measures each recording as it is decoded. With 0 workers clips are decoded in this process,
    unprotected from decoders that crash or hang in C. Raises PipelineError if workers die with no clip to
    blame, UsageError if shared memory is too small.
    """
    load_clip = ClipLoader(source, sample_rate, limits, settings.decode_timeout, listen)
    workers, prefetch = worker_count(settings.num_workers), settings.prefetch
    if workers > 0:
        seconds = max(settings.batch_seconds, limits.max_seconds)
        workers, prefetch = fit_shared_memory(workers, prefetch, round(seconds * sample_rate) * 4)
    feed = _Feed(batches)
    triage = CrashTriage(replace(load_clip, listen=None))  # a clip is not blamed for who listens
    while True:
        pool = WorkerPool(load_clip, feed, workers, prefetch, pin_memory and torch.cuda.is_available())
        try:
            while isinstance(received := pool.receive(), PackedBatch):
                feed.in_flight.popleft()
                triage.progressed()
                yield received.unpack()
        finally:
            pool.close()
        if received is None and feed.error is not None:
            raise feed.error
        if received is None:
            return
        triage.resolve(received, feed.in_flight)


class _Feed:
    """The DataLoader's sampler: first what a lost pool left in flight, then new work."""

    def __init__(self, batches: Iterable[tuple[int, list[Request]]]) -> None:
        self._batches = iter(batches)
        self.in_flight: deque[Work] = deque()  # handed out and not yet yielded, oldest first
        self.error: Exception | None = None  # what the caller's `batches` raised: told once all else is out

    def __iter__(self) -> Iterator[Work]:
        yield from list(self.in_flight)
        try:
            for key, requests in self._batches:
                self.in_flight.append(Work(key, requests, {}))
                yield self.in_flight[-1]
        except Exception as error:  # raised here, it would leave the DataLoader half-made
            self.error = error


class WorkerPool:
    """One DataLoader and its processes."""

    def __init__(
        self, load_clip: ClipLoader, feed: _Feed, workers: int, prefetch: int, pin_memory: bool
    ) -> None:
        self._timeout = load_clip.decode_timeout
        self._clock = AwakeClock()
        self._begun: dict[int, tuple[float, float]] = {}  # by process id: which clip, and since when
        options: dict[str, Any] = {}
        self._heartbeats: HeartbeatTable | None = None
        if workers > 0:
            context = fork_server()
            self._heartbeats = HeartbeatTable(context, workers)
            options = {
                "multiprocessing_context": context,
                "prefetch_factor": prefetch,
                "timeout": POLL,
                "worker_init_fn": start_worker,
            }
        before = multiprocessing.active_children()
        with warnings.catch_warnings():  # the user's number of workers is the user's
            warnings.filterwarnings("ignore", message="This DataLoader will create")
            loader: DataLoader[PackedBatch] = DataLoader(
                PackedBatches(load_clip, self._heartbeats),
                sampler=feed,  # yields Work: the dataset's own kind of index
                batch_size=None,
                collate_fn=_as_is,  # the default would look for arrays to convert
                num_workers=workers,
                pin_memory=pin_memory,
                generator=torch.Generator(),  # its seeds are unused; this leaves the global generator alone
                **options,
            )
            self._batches: Iterator[PackedBatch] | None = iter(loader)
        self._workers = [child for child in multiprocessing.active_children() if child not in before]
        self._one_is_missing = len(self._workers) < workers  # it died before it could be counted

    def receive(self) -> PackedBatch | Lost | None:
        """Return the next packed batch, None at the end, or Lost if a worker died or hangs."""
        if self._batches is None:
            raise ValueError("this pool is closed")
        began = self._clock.read()
        while True:
            try:
                return next(self._batches, None)
            except (RuntimeError, OSError, EOFError) as error:
                # RuntimeError is the DataLoader's for a timeout and for a worker that it finds dead; the
                # others come when a worker dies while its batch is fetched, before its death is known.
                if self._heartbeats is None:
                    raise
                timed_out = isinstance(error, RuntimeError) and "timed out" in str(error)
                if not timed_out:
                    wait([worker.sentinel for worker in self._workers], POLL)
                lost = self._look(self._heartbeats, began)
                if lost is not None:
                    return lost
                if not timed_out:
                    raise

    def _look(self, heartbeats: HeartbeatTable, began: float) -> Lost | None:
        now, at_work = self._clock.read(), heartbeats.at_work()
        dead = [worker for worker in self._workers if not worker.is_alive()]
        crashed = [at_work[worker.pid][0] for worker in dead if worker.pid in at_work]
        hung = []
        for worker in self._workers:
            if worker in dead or worker.pid not in at_work:
                continue
            row, clip = at_work[worker.pid]
            if self._begun.get(worker.pid, (0.0, 0.0))[0] != clip:
                self._begun[worker.pid] = clip, now
            seconds = now - self._begun[worker.pid][1]
            if seconds > self._timeout + GRACE:
                worker.kill()
                hung.append(row)
            elif seconds > self._timeout:
                wake(worker)
        stalled = now - began > STALL and not at_work
        return Lost(crashed, hung) if dead or hung or stalled or self._one_is_missing else None

    def close(self) -> None:
        """End the processes: each after the clip it is at, or by force."""
        if self._heartbeats is not None:
            self._heartbeats.stop()
        self._batches = None  # the DataLoader's iterator tells its workers to end when it goes
        deadline = time.monotonic() + STOP
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
            if worker.is_alive():
                worker.kill()


def _as_is(packed: Any) -> Any:
    return packed
