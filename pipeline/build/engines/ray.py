"""Makes shards on a Ray cluster, with a worker for each GPU. The only module that imports Ray.

A queue hands shards out one by one to whichever worker is free, so loading runs ahead in each worker as it
does in one process. A lost worker returns the shards it held to the queue, and another one is started if
there is room; a node that joins the cluster gets work. The driver holds the output folder: when it dies, Ray
ends queue and workers, and the same command goes on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.build.engines.job import Job, Say
from pipeline.build.engines.shard_queue import MAX_LOSSES, Done, ShardQueue
from pipeline.build.shard_loop import Watcher, encode_shards
from pipeline.config import RunSettings, Settings
from pipeline.dataset.manifest import ShardPlan
from pipeline.dataset.state import State
from pipeline.errors import MissingPackage, PipelineError, UsageError
from pipeline.storage.leases import check_leases

try:
    import ray
    import ray.exceptions
except ImportError as error:
    raise MissingPackage("ray", "ray", "--engine ray") from error

POLL = 0.5  # seconds between looks at the workers
LOST = (ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError)


class Worker:
    """A Ray actor that makes the shards that the queue gives it."""

    def __init__(self, number: int, run: str, job: Job, folder: str) -> None:
        with contextlib.suppress(
            OSError
        ):  # a codec may be named by a relative path, which goes into the card
            os.chdir(folder)
        # Temporary names of its own: a worker thought lost may still be writing one of its shards.
        self._number, self._job = number, replace(job, dataset=job.dataset.written_by(f"{run}-{number}"))

    def run(self, queue: Any) -> None:
        """Work until no shard waits."""

        def shards() -> Iterator[ShardPlan]:
            while (plan := ray.get(queue.next.remote(self._number))) is not None:
                yield plan

        job = self._job
        for state in encode_shards(
            shards(),
            dataset=job.dataset,
            source=job.source,
            codec=job.checked_codec(job.settings.codec),
            settings=job.settings,
            columns=job.columns,
            watcher=Silent(),
        ):
            ray.get(queue.finished.remote(self._number, summary(state)))


class Silent:
    """A `Watcher` that ignores everything.

    The driver counts finished shards instead, so none counts twice.
    """

    def advanced(self, clips: int, rejected: int, seconds: float) -> None:
        """See `Watcher.advanced`."""


def summary(state: State) -> Done:
    """Return what the driver needs to know of a finished shard."""
    return state.shard, state.rows, state.rejected, state.seconds


def make_shards(job: Job, watcher: Watcher, say: Say) -> None:
    """See `job.Engine`. Raises UsageError also if there is no such cluster."""
    settings = job.settings
    with _connected(settings.run):
        per_worker = worker_share(_nodes(), settings)
        gpus, cores = per_worker["GPU"] > 0, per_worker["CPU"]
        job = from_anywhere(replace(job, settings=for_worker(settings, cores, gpus=gpus)))
        room = _room(per_worker, settings.run)
        say(f"ray: room for {room} workers now, with {'a GPU and ' if gpus else ''}{cores} cores each")
        _Scheduler(job, watcher, say, per_worker).work()


def worker_share(nodes: Sequence[Mapping[str, float]], settings: Settings) -> dict[str, int]:
    """Return what a worker reserves on one of `nodes`, as Ray names it: CPU, GPU.

    A worker gets `run.worker_cpus` cores, or as many as the largest node has. Raises UsageError if no node
    has a core.
    """
    gpus = settings.codec.device != "cpu" and any(node.get("GPU", 0) >= 1 for node in nodes)
    fitting = [node for node in nodes if node.get("GPU", 0) >= 1] if gpus else nodes
    cores = min(settings.run.worker_cpus, int(max((node.get("CPU", 0) for node in fitting), default=0)))
    if cores < 1:
        raise UsageError(
            f"no node of the Ray cluster {'with a GPU ' if gpus else ''}has a core for a worker: start one "
            "with cores (ray start --num-cpus), or leave --engine ray out"
        )
    return {"CPU": cores, "GPU": int(gpus)}


def from_anywhere(job: Job) -> Job:
    """Return the job with absolute paths: a worker runs in another working folder."""
    return replace(
        job,
        todo=[replace(plan, chunk=plan.chunk.absolute()) for plan in job.todo],
        dataset=job.dataset.at(job.dataset.root.absolute()),
    )


def for_worker(settings: Settings, cores: int, *, gpus: bool) -> Settings:
    """Return settings for a worker: it sees only its own GPU and decodes with the cores it reserved."""
    values: dict[str, Any] = {"codec.device": "cuda" if gpus else settings.codec.device}
    if settings.load.num_workers is None:
        values["load.num_workers"] = cores - 1
    return settings.with_values(values)


@dataclass
class _Scheduler:
    """Keeps as many workers at work as there is room and work for."""

    job: Job
    watcher: Watcher
    say: Say
    per_worker: dict[str, int]
    _workers: dict[Any, tuple[int, Any]] = field(default_factory=dict)  # by reference of `run`: number, actor
    _started: int = 0
    _run: str = field(
        default_factory=lambda: secrets.token_hex(4)
    )  # tells this driver's workers from others'

    def work(self) -> None:
        """Return when every shard is done. Raises PipelineError if one shard costs worker after worker."""
        queue = _beside_the_driver(ShardQueue, self.job.todo)
        try:
            while self._count(queue):
                self._look_after(queue)
        finally:
            for _, actor in self._workers.values():
                ray.kill(actor)
            ray.kill(queue)

    def _count(self, queue: Any) -> bool:
        """Report finished shards and start workers; return whether anything is left to do."""
        check_leases(self.job.dataset.root)  # workers hold none themselves
        done, waiting, held = ray.get(queue.collect.remote())
        for _, rows, rejected, seconds in done:
            self.watcher.advanced(rows, rejected, seconds)
        room = _room(self.per_worker, self.job.settings.run)
        for _ in range(min(room, len(self._workers) + waiting) - len(self._workers)):
            self._start_worker(queue)
        return bool(waiting or held)

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
        self._workers[actor.run.remote(queue)] = number, actor

    def _look_after(self, queue: Any) -> None:
        """Wait a moment and deal with the workers that ended."""
        ended, _ = ray.wait(list(self._workers), timeout=POLL) if self._workers else ([], [])
        for reference in ended:
            number, actor = self._workers.pop(reference)
            try:
                ray.get(reference)
            except LOST as error:
                self._lost(queue, number, actor, error)
            except ray.exceptions.RayTaskError as error:
                raise _of_the_user(error) from error

    def _lost(self, queue: Any, number: int, actor: Any, error: Exception) -> None:
        cause = getattr(error, "cause", None)
        if isinstance(cause, ray.exceptions.RayTaskError):  # its own __init__ raised
            raise _of_the_user(cause) from error
        ray.kill(actor)  # if it only cannot be reached, it must not come back
        shard = ray.get(queue.lost.remote(number))
        self.say(f"ray: worker {number} was lost; others make its shards")
        if shard is not None:
            raise PipelineError(
                f"shard {shard} was at work in {MAX_LOSSES} workers that were lost: look for the reason in "
                "Ray's logs (memory?), then run the same command again"
            ) from error


def _of_the_user(error: Any) -> BaseException:
    """Return the user's error that ended a worker, else Ray's with the worker's traceback."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, PipelineError) else error


def _room(per_worker: Mapping[str, int], settings: RunSettings) -> int:
    """Return how many workers the cluster has room for: a worker is on one node."""
    needs = [(name, count) for name, count in per_worker.items() if count]
    fitting = sum(min(int(node.get(name, 0) // count) for name, count in needs) for node in _nodes())
    return fitting if settings.ray_workers is None else min(fitting, settings.ray_workers)


def _nodes() -> list[dict[str, float]]:
    """Return the resources of each node of the cluster that is alive."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _beside_the_driver(actor: type, *arguments: Any) -> Any:
    """Start an actor on the driver's node, so that no other node's loss takes it down."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(actor).options(num_cpus=0, scheduling_strategy=here).remote(*arguments)


class _connected:
    """Connect to the cluster for a block, unless this process is connected already."""

    def __init__(self, settings: RunSettings) -> None:
        # Without an address Ray would join whatever cluster was last started on this machine.
        self._address = settings.ray_address or os.environ.get("RAY_ADDRESS") or "local"
        self._ours = False

    def __enter__(self) -> None:
        if ray.is_initialized():
            return
        on_end = signal.getsignal(signal.SIGTERM)  # Ray puts a handler over it that prints a stack and exits
        logging.getLogger("ray").setLevel(logging.ERROR)  # before `init`, which warns of its own defaults
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # likewise
            try:  # what a worker has to say comes as the error that ends it
                ray.init(address=self._address, logging_level=logging.ERROR, log_to_driver=False)
            except (ConnectionError, ValueError) as error:
                raise UsageError(
                    f"there is no Ray cluster at {self._address}: {' '.join(str(error).split())}"
                ) from error
            finally:
                signal.signal(signal.SIGTERM, on_end)
        self._ours = True

    def __exit__(self, *error: object) -> None:
        if self._ours:
            ray.shutdown()
