"""What runs on the nodes: a worker that makes the shards that it is given, and the job as it needs it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import ray

from pipeline.build.engines.job import Job, account, introduction
from pipeline.build.engines.shard_queue import Done
from pipeline.build.shard_loop import encode_shards
from pipeline.config import Settings
from pipeline.dataset.manifest import ShardPlan
from pipeline.dataset.state import State

PAUSE = 0.2  # seconds between looks at a queue in which no shard waits


class Worker:
    """A Ray actor that makes the shards that the queue gives it."""

    def __init__(self, number: int, run: str, job: Job, folder: str) -> None:
        with contextlib.suppress(
            OSError
        ):  # a codec may be named by a relative path, which goes into the card
            os.chdir(folder)
        # Temporary names of its own: a worker thought lost may still be writing one of its shards.
        self._number, self._job = number, replace(job, dataset=job.dataset.written_by(f"{run}-{number}"))

    def ready(self) -> None:
        """Answer, once this worker was started."""

    def run(self, queue: Any) -> list[str]:
        """Work until no shard waits and none may come; return what there is to say of the codec."""

        def shards() -> Iterator[ShardPlan | None]:
            while plan := ray.get(queue.next.remote(self._number)):
                if isinstance(plan, ShardPlan):
                    yield plan
                else:
                    time.sleep(PAUSE)
                    yield None

        job = self._job
        codec = job.checked_codec(job.settings.codec)
        for state in encode_shards(
            shards(),
            dataset=job.dataset,
            source=job.source,
            codec=codec,
            settings=job.settings,
            columns=job.columns,
            watcher=Silent(),
        ):
            ray.get(queue.finished.remote(self._number, summary(state)))
        return [introduction(codec), *account(codec)]


class Silent:
    """A `Watcher` that ignores everything.

    The driver counts finished shards instead, so none counts twice.
    """

    def advanced(self, clips: int, rejected: int, seconds: float) -> None:
        """See `Watcher.advanced`."""


def summary(state: State) -> Done:
    """Return what the driver needs to know of a finished shard."""
    return state.shard, state.rows, state.rejected, state.seconds


def from_anywhere(job: Job) -> Job:
    """Return the job with absolute paths: a worker runs in another working folder."""
    return replace(job, dataset=job.dataset.at(job.dataset.root.absolute()))


def for_worker(settings: Settings, cores: int, *, gpus: bool) -> Settings:
    """Return settings for a worker: it sees only its own GPU and decodes with the cores it reserved."""
    values: dict[str, Any] = {"codec.device": "cuda" if gpus else settings.codec.device}
    if settings.load.num_workers is None:
        values["load.num_workers"] = cores - 1
    return settings.with_values(values)
