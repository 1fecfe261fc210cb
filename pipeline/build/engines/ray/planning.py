"""Helpers of planning on the nodes of the cluster, beside those of the driver's machine.

Workers have reserved the cores, so helpers reserve none: they are few, and give way to whoever decodes. That
costs planning nothing, since where it falls behind workers wait for it, and their cores are free.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import ray
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline.audio.decoders import silence_native_output
from pipeline.build.engines.ray.cluster import answered, cluster_errors
from pipeline.build.engines.ray.scheduler import of_the_user
from pipeline.build.engines.shard_queue import MAX_LOSSES
from pipeline.build.examine import Examiner
from pipeline.build.planning_pool import Answer, StartHelper
from pipeline.build.planning_worker import PlanningWorker
from pipeline.corpus import Corpus

A_NODE = 2  # helpers: a few nodes with two each are as fast as the driver writes the manifest
NICE = 10
POLL = 1.0  # seconds a question to the cluster takes at the most, so that a dead head is noticed


def helpers_on_nodes() -> Iterator[StartHelper]:
    """Yield what starts a helper, for all that the nodes other than the driver's have room for."""
    here = ray.get_runtime_context().get_node_id()
    for node in answered(ray.nodes):
        if node["Alive"] and node["NodeID"] != here:
            yield from [partial(_Remote, node["NodeID"], str(Path.cwd()))] * A_NODE


class _Remote:
    """A `Helper` on a node; on another one once that is lost. What it was asked for, Ray asks again."""

    def __init__(self, node: str, folder: str, examine: Examiner, corpus: Corpus | None) -> None:
        options = {
            "num_cpus": 0,
            "max_restarts": MAX_LOSSES,
            "max_task_retries": MAX_LOSSES,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=True),
        }
        self._actor: Any = ray.remote(_Worker).options(**options).remote(folder, examine, corpus)

    def ask(self, task: str, *arguments: Any) -> Answer:
        return _Answer(getattr(self._actor, task).remote(*arguments))

    def close(self) -> None:
        ray.kill(self._actor)


class _Worker(PlanningWorker):
    def __init__(self, folder: str, examine: Examiner, corpus: Corpus | None) -> None:
        with contextlib.suppress(OSError):  # a cache may be named by a relative path
            os.chdir(folder)
        os.nice(NICE)
        silence_native_output()
        super().__init__(examine, corpus)


class _Answer:
    def __init__(self, reference: Any) -> None:
        self._reference = reference

    def done(self) -> bool:
        return self._wait(0)

    def result(self) -> Any:
        while not self._wait(POLL):
            pass
        with cluster_errors():
            try:
                return ray.get(self._reference)
            except ray.exceptions.RayTaskError as error:
                raise of_the_user(error) from error

    def _wait(self, seconds: float) -> bool:
        return bool(answered(lambda: ray.wait([self._reference], timeout=seconds)[0]))
