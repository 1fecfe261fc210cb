"""Collections that leave memory hold what those in memory would."""

from __future__ import annotations

import errno
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import refusal
from pipeline.storage import on_disk
from pipeline.storage.on_disk import Database, DiskMap, SmallestFirst, SortedTexts

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=3)  # halves of characters too
SMALL = st.integers(1, 5)


@given(st.lists(st.tuples(ANY_TEXT, st.none() | ANY_TEXT)), SMALL)
def test_texts_come_in_the_order_of_their_keys_as_often_as_they_are_asked_for(pairs, batch):
    with mock.patch.object(on_disk, "BATCH", batch):
        texts = SortedTexts()
        for text, key in pairs:
            texts.add(text, key)
        wanted = sorted(((text if key is None else key), text) for text, key in pairs)
        assert list(texts) == list(texts) == [text for _, text in wanted]
        assert len(texts) == len(pairs)


@given(st.lists(st.tuples(ANY_TEXT, st.integers())), SMALL)
def test_a_map_is_a_dictionary_wherever_its_values_are(pairs, held):
    with mock.patch.object(on_disk, "HELD", held):
        found, wanted = DiskMap[int](), dict[str, int]()
        for name, value in pairs:
            found[name] = wanted[name] = value
            assert found.get(name) == value
        assert {name: found.get(name) for name in wanted} == wanted
        assert found.get("a name that is not there") is None
        assert list(found.values()) == [value for _, value in sorted(wanted.items())]


@given(st.lists(st.none() | st.tuples(ANY_TEXT, ANY_TEXT)), SMALL)
def test_the_text_with_the_smallest_key_is_taken_first_wherever_they_are(steps, held):
    with mock.patch.object(on_disk, "HELD", held):
        found, wanted = SmallestFirst(), list[tuple[str, str]]()
        for step in [*steps, *[None] * (len(steps) + 1)]:
            if step is None:
                wanted.sort(reverse=True)
                assert found.pop() == (wanted.pop()[1] if wanted else None)
            elif step not in wanted:
                found.add(step[1], step[0])
                wanted.append(step)


def test_a_full_disk_is_said_in_one_sentence():
    database = Database("texts(text)")
    database.run("PRAGMA max_page_count = 8")
    with pytest.raises(OSError, match="temporary folder") as refused:
        database.insert("INSERT INTO texts VALUES (?)", (("x" * 1000,) for _ in range(100)))
    assert refused.value.errno == errno.ENOSPC
    assert "free some space" in refusal(refused.value)
