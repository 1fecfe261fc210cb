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
from pipeline.build.engines.ray.cluster import answered, cluster_errors, of_the_user
from pipeline.build.engines.shard_queue import MAX_LOSSES
from pipeline.build.examine import Examiner
from pipeline.build.planning_pool import Answer, StartHelper
from pipeline.build.planning_worker import PlanningWorker
from pipeline.corpus import Corpus

A_NODE = 2  # helpers: a few nodes with two each are as fast as the driver writes the manifest
NICE = 10
POLL = 1.0  # seconds a question to the cluster takes at the most, so that a dead head is noticed


class NewNodes:
    """The nodes of the cluster that got no helpers yet. The driver's own needs none."""

    def __init__(self) -> None:
        self._here = {ray.get_runtime_context().get_node_id()}
        self._seen, self._known, self._started = set[str](), set(self._here), 0

    def helpers(self) -> Iterator[StartHelper]:
        """Yield what starts a helper, for nodes that have come; the helpers of a lost one are elsewhere.

        They have been seen once before: Ray starts nothing on a node of which not all its processes know yet.
        """
        alive = {node["NodeID"] for node in answered(ray.nodes) if node["Alive"]}
        for node in sorted(alive & self._seen - self._known):
            self._known.add(node)
            for _ in range(min(A_NODE, A_NODE * len(alive - self._here) - self._started)):
                self._started += 1
                yield partial(_Remote, node, str(Path.cwd()))
        self._seen = alive


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
