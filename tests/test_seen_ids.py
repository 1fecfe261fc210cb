"""Ids are known again, in memory and out of it."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import seen_ids
from pipeline.build.seen_ids import SeenIds

FULL = Path("/dev/full")


def told(ids: list[str], held: int) -> list[bool]:
    return [first for _, first in SeenIds(held).mark(ids, str)]


def as_a_set_says(ids: list[str]) -> list[bool]:
    seen: set[str] = set()
    return [not (id in seen or seen.add(id)) for id in ids]


@given(st.lists(st.text(max_size=2), max_size=200), st.integers(1, 50))
def test_an_id_is_the_first_of_its_kind_as_a_set_of_all_would_say(ids, held):
    assert told(ids, held) == as_a_set_says(ids)


def test_ids_in_many_runs_on_disk_are_known_and_new_ones_are_new_though_the_filter_is_full(monkeypatch):
    monkeypatch.setattr(seen_ids, "MOST_BITS", 1 << 12)
    ids = [f"utterance {number}" for number in range(20_000)]
    again = ids[::7] + [f"new {number}" for number in range(1000)]
    assert told(ids + again, held=1500) == as_a_set_says(ids + again)


@pytest.mark.skipif(not FULL.exists(), reason="no disk that is always full")
def test_a_disk_that_is_full_is_an_error_and_nothing_more_is_said(monkeypatch, capsys):
    monkeypatch.setattr(seen_ids.tempfile, "TemporaryFile", lambda: FULL.open("r+b"))
    with pytest.raises(OSError, match="No space left"):
        told(["a", "b"], held=1)
    gc.collect()
    assert capsys.readouterr().err == ""


def test_half_a_character_is_an_id_too():
    assert told(["\ud83d", "\ud83d"], held=1) == [True, False]
