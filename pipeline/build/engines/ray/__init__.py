"""Makes shards on a Ray cluster, with a worker for each GPU. The only package that imports Ray.

A queue hands shards out one by one to whichever worker is free, so loading runs ahead in each worker as it
does in one process. A lost worker returns the shards it held to the queue, and another one is started if
there is room; a node that joins the cluster gets work. The driver holds the output folder: when it dies, Ray
ends queue and workers, and the same command goes on.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from pipeline.build.engines.job import Job, Say
from pipeline.build.feed import ShardFeed
from pipeline.build.shard_loop import Watcher
from pipeline.errors import MissingPackage

try:
    import ray as _ray  # noqa: F401
except ImportError as error:
    raise MissingPackage("ray", "ray", "--engine ray") from error

from pipeline.build.engines.ray.cluster import Connection, cluster_errors, nodes, room_for, worker_share
from pipeline.build.engines.ray.scheduler import Scheduler
from pipeline.build.engines.ray.worker import for_worker, from_anywhere

__all__ = ["make_shards"]


def make_shards(job: Job, feed: ShardFeed, watcher: Watcher, say: Say) -> None:
    """See `job.Engine`.

    Raises UsageError also if there is no such cluster, PipelineError if it fails or loses its last worker.
    """
    settings = job.settings
    with Connection(settings.run), cluster_errors(), closing(feed):
        per_worker = worker_share(nodes(), settings)
        gpus, cores = per_worker["GPU"] > 0, per_worker["CPU"]
        job = from_anywhere(replace(job, settings=for_worker(settings, cores, gpus=gpus)))
        room = room_for(per_worker, settings.run)
        say(f"ray: room for {room} workers now, with {'a GPU and ' if gpus else ''}{cores} cores each")
        Scheduler(job, feed, watcher, say, per_worker).work()
