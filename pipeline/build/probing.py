"""Examines many utterances at once, in threads and then in processes, and keeps their order.

Reading a header is work for the processor as well as for the disk, so a long corpus gets a process for each
core; a short one is through before they would have started. What comes out does not depend on how many.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import parent_process

from pipeline.audio.decoders import silence_native_output
from pipeline.build.examine import Entry, Examiner
from pipeline.dataset.manifest import ManifestRow
from pipeline.errors import PipelineError

THREADS = 8  # of a process: they wait for the disk, and header readers let go of the interpreter
CHUNK = 64  # utterances a task
ALONE = 64  # tasks with new utterances that this process examines before others are started
AHEAD = 4  # tasks under way for each thread: bounds memory
Task = tuple[Entry, tuple[int, ManifestRow] | None, bool]  # its known row and number; first of its id?
Examined = tuple[int | None, ManifestRow | None]  # the known row's number; the row, None if it is as known


def examine_all(
    examine: Examiner,
    tasks: Iterable[Task],
    progress: Callable[[int], object] = lambda count: None,
    *,
    processes: int | None = None,
) -> Iterator[Examined]:
    """Examine utterances; what is found comes in their order.

    `progress` is called with the number of utterances just examined. `processes` is how many examine a long
    corpus; by default one a core. Raises PipelineError if one of them dies.
    """
    iterator = iter(tasks)
    chunks = iter(lambda: list(itertools.islice(iterator, CHUNK)), [])
    under_way: deque[Future[list[Examined]]] = deque()
    with _Pools(examine, processes or _cores()) as pools:
        for chunk in itertools.chain(chunks, itertools.repeat(None, AHEAD * THREADS)):
            if chunk is not None:
                under_way.append(pools.submit(chunk))
            while under_way and (chunk is None or len(under_way) >= AHEAD * THREADS or under_way[0].done()):
                done = _result(under_way.popleft())
                progress(len(done))
                yield from done


class _Pools:
    """Threads of this process, and processes once there is much that they are worth starting for."""

    def __init__(self, examine: Examiner, processes: int) -> None:
        self._examine, self._count, self._new = examine, processes, 0
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="probe")
        self._processes: ProcessPoolExecutor | None = None

    def submit(self, chunk: list[Task]) -> Future[list[Examined]]:
        """Begin to examine a chunk. One whose rows are all known costs no more than a look at each file."""
        is_new = any(known is None for _, known, _ in chunk)
        self._new += is_new
        if not is_new or self._new <= ALONE or self._count == 1:
            return self._threads.submit(_examined, self._examine, chunk)
        if self._processes is None:
            # Not the loader's fork server: that has imported torch, which reading headers has no use for.
            context = multiprocessing.get_context("spawn")
            self._processes = ProcessPoolExecutor(self._count, context, _start, (self._examine,))
        return self._processes.submit(_work, chunk)

    def __enter__(self) -> _Pools:
        return self

    def __exit__(self, *error: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        if self._processes is not None:
            self._processes.shutdown(cancel_futures=True)


def _result(examined: Future[list[Examined]]) -> list[Examined]:
    try:
        return examined.result()
    except BrokenProcessPool as error:
        raise PipelineError(
            "a process that reads the headers of the audio has died (out of memory?): run the same command "
            "again, which goes on"
        ) from error


def _cores() -> int:
    # Only Linux tells the cores that this process may use; elsewhere it may use all.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _examined(examine: Examiner, chunk: list[Task]) -> list[Examined]:
    return [_examine_one(examine, task) for task in chunk]


def _examine_one(examine: Examiner, task: Task) -> Examined:
    """Return the number of the known row, and the row now unless it is as known."""
    entry, known, first_of_id = task
    number, old = known or (None, None)
    row = examine(entry, old, first_of_id)
    return number, None if row is old else row


class _Process:
    """What a process that examines holds."""

    examine: Examiner
    threads: ThreadPoolExecutor


def _start(examine: Examiner) -> None:
    """Make this process a quiet child, deaf to Ctrl-C, which its parent has, and gone when that is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    silence_native_output()
    _Process.examine, _Process.threads = examine, ThreadPoolExecutor(THREADS)
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()


def _end_with_parent() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def _work(chunk: list[Task]) -> list[Examined]:
    share = -(-len(chunk) // THREADS)
    parts = [chunk[first : first + share] for first in range(0, len(chunk), share)]
    examined = _Process.threads.map(lambda part: _examined(_Process.examine, part), parts)
    return [each for part in examined for each in part]
