"""A Ray cluster of several nodes on this machine, for the tests of what runs on one."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NOISE_OF_RAY = pytest.mark.filterwarnings(
    "ignore::ResourceWarning",  # sockets and logs that Ray leaves to the end of the process
    "ignore::DeprecationWarning:ray",
    "ignore::FutureWarning:ray",
)
NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}


@contextmanager
def cluster_of_two() -> Iterator[Any]:
    """A head without cores and a node with one; every process of it finds the pipeline."""
    import ray
    from ray.cluster_utils import Cluster

    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("PYTHONPATH", paths)
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        patch.setenv("RAY_memory_monitor_refresh_ms", "0")
        cluster = Cluster()
        cluster.add_node(**{**NODE, "num_cpus": 0})
        cluster.add_node(**NODE)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        cluster.wait_for_nodes()
        yield cluster
        ray.shutdown()
        cluster.shutdown()
        gc.collect()  # what Ray left open is closed while its warnings are not errors
