"""The driver's side: starts workers where there is room, and deals with those that are lost."""

from __future__ import annotations

import contextlib
import secrets
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray
import ray.exceptions

from pipeline.build.engines.job import Job, Say
from pipeline.build.engines.ray.cluster import answered, beside_the_driver, of_the_user, room_for
from pipeline.build.engines.ray.planning import NewNodes
from pipeline.build.engines.ray.worker import Worker
from pipeline.build.engines.shard_queue import MAX_LOSSES, ShardQueue
from pipeline.build.feed import AHEAD, ShardFeed
from pipeline.build.shard_loop import Watcher
from pipeline.errors import PipelineError
from pipeline.storage.leases import check_leases

POLL = 0.5  # seconds between looks at the workers
PARTING = 5.0  # seconds that a worker has to tell how its codec did, when all shards are there
NOTICE = 30.0  # seconds without a worker until the user is told
LOST = (ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError)


@dataclass(frozen=True)
class _RayWorker:
    """A worker that was asked for: it starts once the cluster has room."""

    number: int
    actor: Any
    ready: Any  # reference that says whether it has started


@dataclass
class Scheduler:
    """Keeps as many workers at work as there is room and work for."""

    job: Job
    feed: ShardFeed
    watcher: Watcher
    say: Say
    per_worker: dict[str, int]
    _workers: dict[Any, _RayWorker] = field(default_factory=dict)  # by reference of `run`
    _nodes: NewNodes = field(default_factory=NewNodes)
    _started: int = 0
    _fed: bool = False  # the queue has every shard
    _alone: float = field(default_factory=time.monotonic)  # when a worker was last seen
    _told: bool = False  # that there is none
    _words: list[str] = field(default_factory=list)  # on the codec, by a worker that has ended
    _run: str = field(
        default_factory=lambda: secrets.token_hex(4)
    )  # tells this driver's workers from others'

    def work(self) -> None:
        """Return when every shard is done. Raises PipelineError if one shard costs worker after worker."""
        queue = beside_the_driver(ShardQueue)
        try:
            while self._count(queue):
                self._look_after(queue)
            self._say_how_it_went()
        finally:
            for worker in self._workers.values():
                ray.kill(worker.actor)
            ray.kill(queue)

    def _count(self, queue: Any) -> bool:
        """Report finished shards and start workers; return whether anything is left to do."""
        check_leases(self.job.dataset.root)  # workers hold none themselves
        done, waiting, held = answered(lambda: ray.get(queue.collect.remote()))
        waiting += self._feed(queue, waiting)
        for _, rows, rejected, seconds in done:
            self.watcher.advanced(rows, rejected, seconds)
        room = room_for(self.per_worker, self.job.settings.run)
        for _ in range(min(room, len(self._workers) + waiting) - len(self._workers)):
            self._start_worker(queue)
        if not (waiting or held):  # planning is behind, and nobody need be there
            self._alone = time.monotonic()
        return bool(waiting or held or not self._fed)

    def _feed(self, queue: Any, waiting: int) -> int:
        """Hand on what has been planned, while few shards wait; return how many."""
        if self._fed:
            return 0
        for start in self._nodes.helpers():
            self.feed.pool.add(start)
        if waiting >= AHEAD:
            return 0
        ended = self.feed.wait(0)
        shards = [replace(plan, chunk=plan.chunk.absolute()) for plan in self.feed.take(AHEAD)]
        self._fed = ended and self.feed.empty
        answered(lambda: ray.get(queue.add.remote(shards, last=self._fed)))
        return len(shards)

    def _start_worker(self, queue: Any) -> None:
        number, self._started = self._started, self._started + 1
        options = {
            "num_cpus": self.per_worker["CPU"],
            "num_gpus": self.per_worker["GPU"],
            "scheduling_strategy": "SPREAD",
            "max_restarts": 0,
        }
        actor: Any = (
            ray.remote(Worker).options(**options).remote(number, self._run, self.job, str(Path.cwd()))
        )
        ready = actor.ready.remote()
        self._workers[actor.run.remote(queue)] = _RayWorker(number, actor, ready)

    def _look_after(self, queue: Any) -> None:
        """Wait a moment and deal with the workers that ended, and with there being none."""
        if self._workers:
            ended, _ = ray.wait(list(self._workers), timeout=POLL)
        else:
            ended = []
            time.sleep(POLL)
        for reference in ended:
            worker = self._workers.pop(reference)
            try:
                self._words = ray.get(reference)
            except LOST as error:
                self._lost(queue, worker, error)
            except ray.exceptions.RayTaskError as error:
                raise of_the_user(error) from error
        self._check_alone()

    def _say_how_it_went(self) -> None:
        """Tell what a worker says of its codec; the first that has seen that nothing is left will do."""
        ended, _ = ray.wait(list(self._workers), timeout=PARTING) if self._workers else ([], [])
        for reference in ended:
            with contextlib.suppress(ray.exceptions.RayError):  # every shard is there without it
                self._words = ray.get(reference)
        which = f" (one of {self._started} workers)" if self._started > 1 else ""
        for line in self._words:
            self.say(line + which)

    def _check_alone(self) -> None:
        """Tell the user when no worker is there. Raises PipelineError when none has come for too long."""
        ready = [worker.ready for worker in self._workers.values()]
        if ready and ray.wait(ready, timeout=0)[0]:
            self._alone, self._told = time.monotonic(), False
            return
        seconds, patience = time.monotonic() - self._alone, self.job.settings.run.ray_patience
        needs = f"{self.per_worker['CPU']} cores{' and a GPU' if self.per_worker['GPU'] else ''}"
        if seconds > NOTICE and not self._told:
            self.say(
                f"ray: no node has room for a worker, which takes {needs}; waiting {patience:g} s in all "
                "for one (run.ray_patience)"
            )
            self._told = True
        if seconds > patience:
            raise PipelineError(
                f"for {patience:g} s no node of the Ray cluster had room for a worker, which takes {needs}: "
                "start a node, then run the same command again, which goes on"
            )

    def _lost(self, queue: Any, worker: _RayWorker, error: Exception) -> None:
        cause = getattr(error, "cause", None)
        if isinstance(cause, ray.exceptions.RayTaskError):  # its own __init__ raised
            raise of_the_user(cause) from error
        ray.kill(worker.actor)  # if it only cannot be reached, it must not come back
        shard = answered(lambda: ray.get(queue.lost.remote(worker.number)))
        self.say(f"ray: worker {worker.number} was lost; others make its shards")
        if shard is not None:
            raise PipelineError(
                f"shard {shard} was at work in {MAX_LOSSES} workers that were lost: look for the reason in "
                "Ray's logs (memory?), then run the same command again"
            ) from error
