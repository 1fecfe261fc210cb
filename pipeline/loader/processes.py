"""How many processes load, how they are started, and what they share."""

from __future__ import annotations

import logging
import multiprocessing
import shutil
from contextlib import ExitStack
from multiprocessing import process
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.runtime import cores
from pipeline.storage.scratch import scratch_folder

MAX_WORKERS = 16  # by default; at 400 to 2,000 times real time each, more than one GPU encodes
SHARED_MEMORY = Path("/dev/shm")
# Imported once by the fork server, of which workers are copies: 0.1 s to start one instead of 3.
PRELOAD = ["torch", "torchaudio", "soundfile", "av", "pipeline.loader.worker", "pipeline.loader.quiet_server"]

log = logging.getLogger(__name__)


def fork_server() -> Any:
    """Return the context that starts processes.

    They are copies of a server that never touched CUDA and has no threads. All share this process's temporary
    folder, so that whoever outlives it can remove it.
    """
    _share_temporary_folder()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return context


def _share_temporary_folder() -> None:
    """Give multiprocessing a folder for its sockets before it makes one that a killed run would leave."""
    shared: dict[str, Any] = process.current_process()._config  # type: ignore[attr-defined]
    if shared.get("tempdir") is None:
        held = ExitStack()
        shared["tempdir"] = str(held.enter_context(scratch_folder("loader")))
        Finalize(None, held.close, exitpriority=-100)  # after the processes that use it


def worker_count(asked: int | None) -> int:
    """Return the number of workers asked for; by default one a core, but one core for this process."""
    if asked is not None:
        return asked
    return min(MAX_WORKERS, max(1, cores() - 1))


def fit_shared_memory(workers: int, prefetch: int, batch_bytes: int) -> tuple[int, int]:
    """Reduce prefetched batches, then workers, to what /dev/shm holds (64 MB in a Docker container).

    A worker that writes past its end is killed by SIGBUS, so this is settled before. Raises UsageError if
    not even one batch under way and one arriving fit.
    """
    if not SHARED_MEMORY.is_dir():
        return workers, prefetch
    free = shutil.disk_usage(SHARED_MEMORY).free
    room = int(0.9 * free / batch_bytes) - 1
    if room < 1:
        raise UsageError(
            f"batches of {batch_bytes / 1e6:.0f} MB do not fit into {SHARED_MEMORY}, "
            f"which has {free / 1e6:.0f} MB free: enlarge it (docker run --shm-size 1g), "
            "or set load.num_workers to 0"
        )
    if workers * prefetch <= room:
        return workers, prefetch
    fitting = min(workers, room), max(1, room // workers)
    log.warning("%s holds only %d batches: %d workers with %d each", SHARED_MEMORY, room, *fitting)
    return fitting
