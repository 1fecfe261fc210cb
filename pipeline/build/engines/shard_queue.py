"""Tracks which shards wait, which worker holds the others, and which are done."""

from __future__ import annotations

from collections import Counter, deque

from pipeline.dataset.manifest import ShardPlan

MAX_LOSSES = 3  # workers that may be lost over one shard before it is taken for the cause
Done = tuple[int, int, int, float]  # shard, rows, rejected, seconds of audio


class ShardQueue:
    """Hands each shard to one worker at a time; shards are added until it is closed."""

    def __init__(self) -> None:
        self._waiting: deque[ShardPlan] = deque()
        self._closed = False
        self._held: dict[int, dict[int, ShardPlan]] = {}  # by worker, then shard
        self._losses: Counter[int] = Counter()
        self._done: list[Done] = []

    def add(self, shards: list[ShardPlan], *, last: bool) -> None:
        """Take in more shards; after the `last` ones there are no more."""
        self._waiting.extend(shards)
        self._closed = last

    def next(self, worker: int) -> ShardPlan | bool:
        """Return a shard for a worker; if none waits, whether some may come yet."""
        if not self._waiting:
            return not self._closed
        plan = self._waiting.popleft()
        self._held.setdefault(worker, {})[plan.shard] = plan
        return plan

    def finished(self, worker: int, done: Done) -> None:
        """Record that a worker's shard is durable."""
        if self._held.get(worker, {}).pop(done[0], None) is not None:
            self._done.append(done)

    def lost(self, worker: int) -> int | None:
        """Take back what a worker held; return a shard, if any, that `MAX_LOSSES` lost workers held."""
        held = self._held.pop(worker, {})
        self._waiting.extendleft(reversed(held.values()))
        self._losses.update(held.keys())
        return next((shard for shard in held if self._losses[shard] >= MAX_LOSSES), None)

    def collect(self) -> tuple[list[Done], int, int]:
        """Return what was finished since the last call, how many shards wait, and how many are held."""
        done, self._done = self._done, []
        return done, len(self._waiting), sum(map(len, self._held.values()))
