"""The cluster as the driver sees it: connecting to it, what its nodes have, and when it does not answer."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import ray
import ray._private.worker
import ray.exceptions

from pipeline.config import RunSettings, Settings
from pipeline.errors import PipelineError, UsageError

ANSWER = 45.0  # seconds the cluster has to answer; after 60, Ray ends the process without a word of ours

T = TypeVar("T")


class Connection:
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
        # What its daemons report, such as a worker's death, Ray prints whatever `log_to_driver` says. This is
        # the switch of Ray's own debugger; we tell of lost workers ourselves.
        ray._private.worker._worker_logs_enabled = False

    def __exit__(self, *error: object) -> None:
        if self._ours:
            ray.shutdown()
            ray._private.worker._worker_logs_enabled = True


@contextlib.contextmanager
def cluster_errors() -> Iterator[None]:
    """Turn what Ray says when its own processes die into a PipelineError; a worker's bug stays as it is."""
    try:
        yield
    except ray.exceptions.RayTaskError:
        raise
    except ray.exceptions.RayError as error:
        raise PipelineError(
            f"the Ray cluster failed ({type(error).__name__}: see its logs): run the same command again, "
            "which goes on"
        ) from error


def of_the_user(error: ray.exceptions.RayTaskError) -> Exception:
    """Return the user's error, or the system's, that ended a worker; else Ray's with its traceback."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, PipelineError) or (isinstance(cause, OSError) and cause.errno is not None):
        return cause
    return error


def answered(question: Callable[[], T]) -> T:
    """Return what the cluster answers. Raises PipelineError if it does not in time: its head is gone."""
    answer: Future[T] = Future()

    def ask() -> None:
        try:
            answer.set_result(question())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=ask, name="ask-ray", daemon=True).start()
    try:
        return answer.result(ANSWER)
    except TimeoutError as error:
        raise PipelineError(
            f"the head of the Ray cluster has not answered for {ANSWER:g} s: when it is there again, run the "
            "same command again, which goes on"
        ) from error


def nodes() -> list[dict[str, float]]:
    """Return the resources of each node of the cluster that is alive."""
    return [node["Resources"] for node in answered(ray.nodes) if node["Alive"]]


def room_for(per_worker: Mapping[str, int], settings: RunSettings) -> int:
    """Return how many workers the cluster has room for: a worker is on one node."""
    needs = [(name, count) for name, count in per_worker.items() if count]
    fitting = sum(min(int(node.get(name, 0) // count) for name, count in needs) for node in nodes())
    return fitting if settings.ray_workers is None else min(fitting, settings.ray_workers)


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


def beside_the_driver(actor: type, *arguments: Any) -> Any:
    """Start an actor on the driver's node, so that no other node's loss takes it down."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(actor).options(num_cpus=0, scheduling_strategy=here).remote(*arguments)
