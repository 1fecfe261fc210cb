"""Bounds the shapes of batches: few sizes, chosen for the corpus, with little padding.

What a GPU prepares, it prepares once a shape: plans of convolutions, guards of compiled graphs, blocks of
memory. So every batch has one of at most MOST shapes. They are the batches of a typical shard, whose
durations are the corpus's quantiles, cut so that padding is least; the batches of a real shard are then the
cheapest way to cover its clips with them. Both are dynamic programmes over clips in order of length, and
depend on nothing but durations: a run that was interrupted makes the same batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

MOST = 40
PADDING = 0.06  # at most, of shards of 1,000 rows: tests/test_shapes.py holds it for many mixes of durations
OVERHEAD = 100  # codes of work that a batch costs on top of its size, for launching its kernels
SAMPLES = 500  # quantiles that stand for a shard
LONGER = 500  # codes: what a clip that no shape was planned for is padded to multiples of
SLACK = 0.01  # codes that a clip may be longer than its header says, by rounding its duration


class Shape(NamedTuple):
    """A batch's size: rows, and the codes of each, padding counted."""

    clips: int
    codes: int


def codes_of(durations: Iterable[float], rate: float) -> np.ndarray:
    """Return how many codes clips of `durations` (seconds) have at `rate` codes a second: int64 (clips,)."""
    counts: np.ndarray = np.floor(np.asarray([*durations], np.float64) * rate + SLACK).astype(np.int64) + 1
    return counts


def choose_shapes(lengths: np.ndarray, shard_size: int, batch_codes: int, longest: int) -> tuple[Shape, ...]:
    """Return at most MOST shapes for shards of `shard_size` clips like those of `lengths` (codes).

    A shape's rows times its codes stay within `batch_codes`, unless it is one row. One shape is a single
    row of `longest` codes, or of the longest clip's: every clip fits.
    """
    if len(lengths) == 0:
        return (Shape(1, longest),)
    ordered = np.sort(lengths)[::-1]
    clips = min(shard_size, len(ordered))
    points = min(clips, SAMPLES)
    weight = clips / points  # clips that a quantile stands for
    typical = ordered[np.arange(points) * len(ordered) // points]
    rows = np.maximum(batch_codes // typical, 1)  # of a full batch as long as each quantile
    shapes = {Shape(1, max(longest, int(ordered[0])))}
    for first, end in _cut(typical, weight, rows):
        count, room = int(np.ceil((end - first) * weight)), int(rows[first])
        batches = max(2, -(-count // room))  # two, so that a shard with fewer such clips pads little
        shapes.add(Shape(-(-count // batches), int(typical[first])))
    return tuple(sorted(shapes, reverse=True))


@cache
def general() -> tuple[Shape, ...]:
    """Return shapes for batches that nobody planned: clips of up to 40 s, of every length alike in ratio."""
    return choose_shapes(np.geomspace(12, 2_001, SAMPLES).astype(np.int64), SAMPLES, 12_000, 2_001)


def _cut(typical: np.ndarray, weight: float, rows: np.ndarray) -> list[tuple[int, int]]:
    """Cut descending lengths into at most MOST - 1 ranges, each padded to its first, at the least cost."""
    points = len(typical)
    first, end = np.arange(points)[:, None], np.arange(points + 1)[None, :]
    clips = (end - first) * weight
    batches = np.ceil(clips / rows[:, None] - 1e-9)
    cost = np.where(clips > 0, clips * typical[:, None] + OVERHEAD * batches, np.inf)
    best = np.full(points + 1, np.inf)  # of the lengths before each place, with as many ranges as so far
    best[0] = 0.0
    totals, begins = [best], []
    for _ in range(MOST - 1):
        paths = totals[-1][:-1, None] + cost
        begins.append(paths.argmin(axis=0))
        totals.append(paths.min(axis=0))
    ranges, at = [], points
    for number in range(int(np.argmin([total[points] for total in totals])), 0, -1):
        begin = int(begins[number - 1][at])
        ranges.append((begin, at))
        at = begin
    return ranges


def plan_batches(
    lengths: Sequence[int] | np.ndarray, shapes: Sequence[Shape]
) -> list[tuple[list[int], Shape]]:
    """Group clips of `lengths` (codes) into batches of the given shapes, longest first, at the least cost.

    Returns each batch's clips by their place in `lengths`, at most as many as the shape has rows, none
    longer than it. Clips of one length keep their order. A clip that is longer than every shape is a batch
    of its own, of a multiple of LONGER codes.
    """
    given = np.asarray(lengths, np.int64)
    order = np.argsort(-given, kind="stable")
    rows, codes = np.array(shapes, np.int64).T
    work = rows * codes + OVERHEAD
    clips = len(order)
    longer = int((given > codes.max()).sum())
    batches = [([int(clip)], Shape(1, int(-(-given[clip] // LONGER) * LONGER))) for clip in order[:longer]]
    cost, choice = np.zeros(clips + 1), np.zeros(clips, np.int64)
    for at in range(clips - 1, longer - 1, -1):
        total = np.where(codes >= given[order[at]], work + cost[np.minimum(at + rows, clips)], np.inf)
        choice[at] = total.argmin()
        cost[at] = total[choice[at]]
    at = longer
    while at < clips:
        shape = shapes[choice[at]]
        batches.append((order[at : at + shape.clips].tolist(), shape))
        at += shape.clips
    return batches


def halved(shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    """Return the shapes with half as many rows each, for a device that has no room for them."""
    return tuple(sorted({Shape(-(-clips // 2), codes) for clips, codes in shapes}, reverse=True))
