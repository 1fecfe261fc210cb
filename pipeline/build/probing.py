"""Examines many utterances at once, in threads and then with helpers, and keeps their order.

Reading a header is work for the processor as well as for the disk, so a long corpus gets helpers; a short one
is through before they would have started. What comes out does not depend on them.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from pipeline.build.examine import Examiner
from pipeline.build.planning_pool import Answer, PlanningPool
from pipeline.build.planning_worker import THREADS, Examined, Task, examined
from pipeline.runtime import import_what_first_use_would

CHUNK = 64  # utterances a task
ALONE = 64  # tasks with new utterances that this process examines before helpers are asked
SEGMENTS = 8  # of one recording on average: to send so many costs more than to look at them here
AHEAD = 4  # tasks under way for each thread or helper: bounds memory


def examine_all(
    examine: Examiner,
    tasks: Iterable[Task],
    pool: PlanningPool,
    progress: Callable[[int], object] = lambda count: None,
) -> Iterator[Examined]:
    """Examine utterances; what is found comes in their order.

    `progress` is called with the number of utterances just examined. Raises PipelineError if a helper dies.
    """
    import_what_first_use_would()
    iterator = iter(tasks)
    chunks = iter(lambda: list(itertools.islice(iterator, CHUNK)), [])
    under_way: deque[Answer] = deque()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="probe") as threads:
        ask = _Asking(examine, pool, threads)
        try:
            for chunk in chunks:
                under_way.append(ask(chunk))
                while under_way and (len(under_way) >= ask.ahead or under_way[0].done()):
                    yield from _received(under_way, progress)
            while under_way:
                yield from _received(under_way, progress)
        finally:
            threads.shutdown(cancel_futures=True)


def _received(under_way: deque[Answer], progress: Callable[[int], object]) -> list[Examined]:
    done: list[Examined] = under_way.popleft().result()
    progress(len(done))
    return done


class _Asking:
    """Has chunks examined by threads of this process, and by helpers once there is much for them."""

    def __init__(self, examine: Examiner, pool: PlanningPool, threads: ThreadPoolExecutor) -> None:
        self._examine, self._pool, self._threads = examine, pool, threads
        self._new = 0
        self.ahead = AHEAD * THREADS  # chunks

    def __call__(self, chunk: list[Task]) -> Answer:
        """Begin to examine a chunk. One whose rows are all known costs no more than a look at each file."""
        if all(task.is_settled for task in chunk):
            settled: Future[list[Examined]] = Future()
            settled.set_result(examined(self._examine, chunk))
            return settled
        new = {task.entry.audio for task in chunk if task.known is None and task.found is None}
        is_new = len(new) * SEGMENTS > len(chunk)
        self._new += is_new
        helpers = self._pool.helpers() if is_new and self._new > ALONE else []
        if not helpers:
            return self._threads.submit(examined, self._examine, chunk)
        self.ahead = AHEAD * max(THREADS, len(helpers))
        return helpers[self._new % len(helpers)].ask("examine", chunk)
