"""The dealer gives every shard to somebody until it is done, and to one worker at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build.engines.shard_queue import MAX_LOSSES, ShardQueue
from pipeline.dataset.manifest import ShardPlan


def plans(count: int) -> list[ShardPlan]:
    return [ShardPlan(number, number * 5, 5, "digest", Path("part"), number) for number in range(count)]


def queue_of(count: int) -> ShardQueue:
    queue = ShardQueue()
    queue.add(plans(count), last=True)
    return queue


@given(st.integers(0, 8), st.lists(st.tuples(st.sampled_from(["next", "finish", "lose"]), st.integers(0, 3))))
def test_whatever_workers_do_every_shard_waits_is_held_by_one_or_is_done_once(shards, events):
    queue, held, done = queue_of(shards), {worker: [] for worker in range(4)}, []
    for event, worker in events:
        if event == "next" and isinstance(plan := queue.next(worker), ShardPlan):
            held[worker].append(plan.shard)
        elif event == "finish" and held[worker]:
            queue.finished(worker, (held[worker].pop(0), 5, 0, 1.0))
        elif event == "lose":
            queue.lost(worker)
            held[worker].clear()
        finished, waiting, at_work = queue.collect()
        done += [shard for shard, *_ in finished]
        assert at_work == sum(map(len, held.values()))
        assert waiting + at_work + len(done) == shards
    assert len(done) == len(set(done))


def test_what_a_lost_worker_held_is_made_first_and_in_order():
    queue = queue_of(4)
    assert [queue.next(0).shard, queue.next(0).shard, queue.next(1).shard] == [0, 1, 2]
    queue.lost(0)
    assert [queue.next(1).shard for _ in range(3)] == [0, 1, 3]
    assert queue.next(1) is False


def test_a_shard_that_a_lost_worker_finished_after_all_counts_once():
    queue = queue_of(1)
    queue.next(0)
    queue.lost(0)
    queue.finished(0, (0, 5, 0, 1.0))
    assert queue.collect() == ([], 1, 0)


@pytest.mark.parametrize("losses", range(1, MAX_LOSSES + 1))
def test_a_shard_is_suspected_when_enough_workers_were_lost_over_it(losses):
    queue = queue_of(2)
    for worker in range(losses):
        assert queue.next(worker).shard == 0
        suspect = queue.lost(worker)
    assert suspect == (0 if losses == MAX_LOSSES else None)


def test_a_worker_that_finds_no_shard_is_told_whether_some_may_come():
    queue, (first, second) = ShardQueue(), plans(2)
    assert queue.next(0) is True
    queue.add([first], last=False)
    assert (queue.next(0), queue.next(1)) == (first, True)
    queue.add([second], last=True)
    assert (queue.next(1), queue.next(0)) == (second, False)
