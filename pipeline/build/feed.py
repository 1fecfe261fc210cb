"""Shards to make, handed over by whoever plans them: a thread of this process, or another part of the run."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator

from pipeline.build.planning_pool import PlanningPool
from pipeline.dataset.manifest import MAX_SHARDS, ShardPlan
from pipeline.runtime import import_what_first_use_would

AHEAD = MAX_SHARDS  # shards that wait while nothing more is planned
PAUSE = 0.05  # seconds; how long one who encodes waits for a shard before it looks at its batches again
Planner = Callable[[Callable[[int], object]], Iterator[list[ShardPlan]]]


class Closed(BaseException):
    """Ends a planner whose shards nobody takes any more."""


class ShardFeed:
    """Plans in a thread, at most about `AHEAD` shards ahead of those taken; a context manager.

    `planner` is given a function to call with each number of utterances it examined, and yields shards. Who
    takes them may offer its `pool` helpers.
    """

    def __init__(self, planner: Planner, pool: PlanningPool | None = None) -> None:
        self.pool = pool or PlanningPool(1)
        self._planner = planner
        self._waiting: deque[ShardPlan] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._plan, name="plan", daemon=True)
        self.ended = False  # no shard comes any more
        self.examined = 0  # utterances, so far
        self.rows = 0  # of all shards so far
        self.numbers: list[int] = []  # of all shards so far

    def __enter__(self) -> ShardFeed:
        import_what_first_use_would()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Plan no further; wait until that is so."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _plan(self) -> None:
        try:
            for shards in self._planner(self._count):
                self._hand_on(shards)
        except Closed:
            pass
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self.ended = True
                self._changed.notify_all()

    def _count(self, utterances: int) -> None:
        self.examined += utterances
        if self._closed:
            raise Closed

    def _hand_on(self, shards: list[ShardPlan]) -> None:
        with self._changed:
            self._waiting.extend(shards)
            self.rows += sum(shard.rows for shard in shards)
            self.numbers += [shard.shard for shard in shards]
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or len(self._waiting) < AHEAD)
        if self._closed:
            raise Closed

    def wait(self, seconds: float | None = None, *, whole: bool = False) -> bool:
        """Wait until a shard is there or planning is over, with `whole` for the latter alone.

        Returns whether planning is over. Raises what ended planning.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.ended or (bool(self._waiting) and not whole), seconds)
            if self._error is not None:
                raise self._error
            return self.ended

    def take(self, most: int) -> list[ShardPlan]:
        """Return shards that wait, at most `most` of them."""
        with self._changed:
            taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            self._changed.notify_all()
            return taken

    @property
    def empty(self) -> bool:
        """Whether no shard waits at the moment."""
        return not self._waiting

    def __iter__(self) -> Iterator[ShardPlan | None]:
        """Yield each shard; None after a pause in which there was none. Raises what ended planning."""
        while True:
            ended = self.wait(PAUSE)
            taken = self.take(1)
            if taken:
                yield taken[0]
            elif ended:
                return
            else:
                yield None
