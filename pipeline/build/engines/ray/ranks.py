"""Runs the ranks of a command on a Ray cluster, as many as it has room for, each a task of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import ray
import ray.exceptions

from pipeline.build.engines.job import Say
from pipeline.build.engines.ray.cluster import (
    Connection,
    cluster_errors,
    nodes,
    of_the_user,
    room_for,
    worker_share,
)
from pipeline.build.engines.ray.scheduler import POLL
from pipeline.build.engines.shard_queue import MAX_LOSSES
from pipeline.config import Settings
from pipeline.storage.claims import Rank

Work = Callable[[Rank, str | None], object]  # a rank, and the device it has where it has a GPU


def run_ranks(work: Work, settings: Settings, say: Say) -> None:
    """Run `work`, which must be resumable, for every rank; Ray tries the rank of a lost worker again.

    Raises UsageError if there is no such cluster, PipelineError if it fails, and what `work` raises.
    """
    with Connection(settings.run), cluster_errors():
        share = worker_share(nodes(), settings)
        of = max(1, room_for(share, settings.run))
        say(f"ray: {of} workers, with {'a GPU and ' if share['GPU'] else ''}{share['CPU']} cores each")
        task = ray.remote(_run).options(
            num_cpus=share["CPU"],
            num_gpus=share["GPU"],
            max_retries=MAX_LOSSES,
            scheduling_strategy="SPREAD",
        )
        device = "cuda" if share["GPU"] else None
        ranks = [Rank(number, of, "ray") for number in range(of)]
        left = [task.remote(work, rank, device, str(Path.cwd())) for rank in ranks]
        try:
            while left:
                ended, left = ray.wait(left, timeout=POLL)
                ray.get(ended)
        except ray.exceptions.RayTaskError as error:
            raise of_the_user(error) from error
        finally:
            for reference in left:
                ray.cancel(reference, force=True)


def _run(work: Work, rank: Rank, device: str | None, folder: str) -> None:
    """Do the work of one rank on a node."""
    with contextlib.suppress(OSError):  # models may be named by relative paths
        os.chdir(folder)
    work(rank, device)
