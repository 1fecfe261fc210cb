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
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import parent_process

from pipeline.audio.decoders import silence_native_output
from pipeline.build.examine import Entry, Examiner
from pipeline.dataset.manifest import ManifestRow
from pipeline.errors import PipelineError

THREADS = 8  # of a process: they wait for the disk, and header readers let go of the interpreter
CHUNK = 64  # utterances a task
ALONE = 64  # tasks that this process examines before others are started
AHEAD = 4  # tasks under way for each that is at work: bounds memory
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
    count = processes or _cores()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="probe") as threads:
        few = itertools.islice(chunks, ALONE) if count > 1 else chunks
        yield from _in_order(threads, lambda chunk: _examined(examine, chunk), few, THREADS, progress)
    following = next(chunks, None)
    if following is None:
        return
    # Not the loader's fork server: that has imported torch, which reading headers has no use for.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, context, initializer=_start, initargs=(examine,))
    try:
        yield from _in_order(pool, _work, itertools.chain([following], chunks), count, progress)
    except BrokenProcessPool as error:
        raise PipelineError(
            "a process that reads the headers of the audio has died (out of memory?): run the same command "
            "again, which goes on"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _cores() -> int:
    # Only Linux tells the cores that this process may use; elsewhere it may use all.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_order(
    pool: Executor,
    work: Callable[[list[Task]], list[Examined]],
    chunks: Iterable[list[Task]],
    at_work: int,
    progress: Callable[[int], object],
) -> Iterator[Examined]:
    under_way: deque[Future[list[Examined]]] = deque()
    for chunk in itertools.chain(chunks, itertools.repeat(None, AHEAD * at_work)):
        if chunk is not None:
            under_way.append(pool.submit(work, chunk))
        while under_way and (chunk is None or len(under_way) >= AHEAD * at_work or under_way[0].done()):
            done = under_way.popleft().result()
            progress(len(done))
            yield from done


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
