"""Batches of few shapes with little padding, for corpora of every mix of durations."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.codec.shapes import MOST, PADDING, Shape, choose_shapes, codes_of, general, halved, plan_batches

RATE, BATCH, LONGEST = 50.0, 240 * 50, 40 * 50 + 1
CLIPS, SHARD = 8_000, 1_000


def log_normal(median: float, spread: float, shortest: float, longest: float) -> np.ndarray:
    drawn = np.random.default_rng(0).standard_normal(CLIPS)
    return np.clip(median * np.exp(spread * drawn), shortest, longest)


@cache
def mixes() -> dict[str, np.ndarray]:
    """Durations in seconds, in the corpus's order."""
    random = np.random.default_rng(1)
    books = np.where(
        random.random(CLIPS) < 0.7,
        random.normal(14.5, 1.3, CLIPS).clip(10, 17),
        random.uniform(1.5, 14, CLIPS),
    )
    calls = np.where(random.random(CLIPS) < 0.5, log_normal(1, 0.2, 0.3, 3), log_normal(20, 0.2, 10, 40))
    return {
        "most corpora": log_normal(5, 0.6, 1, 25),
        "short, with a long tail": log_normal(3, 0.8, 0.2, 40),
        "long": log_normal(8, 0.5, 0.5, 40),
        "commands": log_normal(1.5, 0.7, 0.1, 20),
        "any length alike": random.uniform(0.1, 40, CLIPS),
        "one reader": random.normal(6.6, 2.2, CLIPS).clip(1.1, 10.1),
        "books": books,
        "very short and very long": calls,
        "cut at 10 s": np.full(CLIPS, 10.0),
        "cut at 7.77 s": np.full(CLIPS, 7.77),
        "cut at 30 s": np.full(CLIPS, 30.0),
        "in order of length": np.sort(log_normal(5, 0.6, 1, 25)),
    }


@pytest.mark.parametrize("mix", [name for name in mixes() if name != "in order of length"])
def test_a_corpus_has_at_most_40_shapes_of_batches_and_6_percent_of_padding(mix: str) -> None:
    codes = codes_of(mixes()[mix], RATE)
    shapes = choose_shapes(codes, SHARD, BATCH, LONGEST)
    used, padded = set(), 0
    for start in range(0, CLIPS, SHARD):
        for _, shape in plan_batches(codes[start : start + SHARD], shapes):
            used.add(shape)
            padded += shape.clips * shape.codes
    assert (MOST, PADDING) == (40, 0.06)
    assert len(shapes) <= MOST
    assert used <= set(shapes)
    assert 1 - codes.sum() / padded <= PADDING


def test_shards_that_are_unlike_the_corpus_have_no_more_shapes() -> None:
    codes = codes_of(mixes()["in order of length"], RATE)
    shapes = choose_shapes(codes, SHARD, BATCH, LONGEST)
    for start in range(0, CLIPS, SHARD):
        assert {shape for _, shape in plan_batches(codes[start : start + SHARD], shapes)} <= set(shapes)


LENGTHS = st.lists(st.integers(1, LONGEST), max_size=60)


@settings(max_examples=60, deadline=None)
@given(LENGTHS, LENGTHS, st.integers(1, 50), st.integers(100, 20_000))
def test_every_clip_is_in_one_batch_and_fits_its_shape(
    corpus: list[int], shard: list[int], shard_size: int, batch_codes: int
) -> None:
    shapes = choose_shapes(np.array(corpus, np.int64), shard_size, batch_codes, LONGEST)
    assert all(shape.clips == 1 or shape.clips * shape.codes <= batch_codes for shape in shapes)
    for some in (shapes, halved(shapes), halved(halved(shapes))):
        batches = plan_batches(shard, some)
        assert sorted(clip for clips, _ in batches for clip in clips) == list(range(len(shard)))
        for clips, shape in batches:
            assert shape in some
            assert len(clips) <= shape.clips
            assert max(shard[clip] for clip in clips) <= shape.codes


def test_batches_come_longest_first_and_clips_of_one_length_keep_their_order() -> None:
    assert plan_batches([5, 9, 5, 9, 5], [Shape(2, 9), Shape(3, 5)]) == [
        ([1, 3], Shape(2, 9)),
        ([0, 2, 4], Shape(3, 5)),
    ]


def test_halved_shapes_need_half_the_room_and_still_take_every_clip() -> None:
    assert halved([Shape(24, 500), Shape(7, 700), Shape(1, 2_001)]) == (
        Shape(12, 500),
        Shape(4, 700),
        Shape(1, 2_001),
    )


def test_a_clip_has_the_codes_of_its_samples_even_if_its_header_rounds_its_duration() -> None:
    assert codes_of([10.0, 9.9999, 9.97, 0.0, 160_001 / 16_000], RATE).tolist() == [501, 501, 499, 1, 501]


def test_batches_that_nobody_planned_have_few_shapes_too_and_a_clip_of_any_length_fits() -> None:
    assert len(general()) <= MOST
    ((clips, shape),) = plan_batches([7_777], general())
    assert (clips, shape) == ([0], Shape(1, 8_000))
    assert {
        shape for _, shape in plan_batches(codes_of(mixes()["most corpora"][:200], RATE), general())
    } <= set(general())
