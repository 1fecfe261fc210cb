"""The table of files answers as a list of them would, in memory and out of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from corpus_helpers import Read, audio, build
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpus.file_table import AT, FOUND, FileTable
from pipeline.corpus.listing import nfc
from pipeline.storage import on_disk

NAMES = ("1", "2", "a", "A", "v1.2", "é", "e\u0301", "ガ", "カ\u3099", "caf\udce9")  # two composed alike
ENDINGS = (".wav", ".WAV", ".mp3")
PATHS = st.builds(
    lambda folders, name, ending: "/".join((*folders, name)) + ending,
    st.lists(st.sampled_from(NAMES), max_size=2),
    st.sampled_from(NAMES),
    st.sampled_from(ENDINGS),
)


def without_ending(name: str) -> str:
    stem, _, ending = name.rpartition(".")
    return stem if f".{ending}".lower() in ENDINGS else name


class Listed:
    """The model: a list in order."""

    def __init__(self, paths: list[str]) -> None:
        self.locators = sorted((path for path in paths if path.isprintable()), key=lambda p: (nfc(p), p))
        self.plain = [(locator, without_ending(nfc(locator))) for locator in self.locators]
        self.unnameable = sorted(p.replace("\udce9", "\\xe9") for p in paths if not p.isprintable())

    def of_stem(self, stem: str, folder: str | None) -> Iterator[tuple[str, str]]:
        for locator, plain in self.plain:
            if plain.rpartition("/")[2] == stem and folder in {None, plain.rpartition("/")[0]}:
                yield locator, plain


def check(table: FileTable, paths: list[str]) -> None:
    model, named = Listed(paths), set[str]()
    assert len(table) == len(model.locators)
    assert list(table) == model.locators
    assert list(table.unnameable()) == model.unnameable
    folders = {nfc(path).rpartition("/")[0] for path in paths[:20]} | {"", "a", "a/1", "gone", "caf\udce9"}
    for folder in folders:
        below = any(nfc(locator).startswith(folder + "/") for locator in model.locators)
        assert table.any_below(folder) == below
    for stem in map(nfc, NAMES):
        for place in (None, *folders):
            found = table.of_stem(stem, place)
            assert [(file.locator, file.plain) for file in found] == list(model.of_stem(stem, place))
            if place == "a":
                table.name(found)
                named |= {file.locator for file in found}
    unnamed = [locator for locator in model.locators if locator not in named]
    assert list(table.unnamed()) == sorted(unnamed + model.unnameable)
    table.name_none()
    assert list(table.unnamed()) == sorted(model.locators + model.unnameable)


@given(st.lists(PATHS, unique=True, max_size=30))
def test_a_few_files_are_found_as_in_a_list(paths):
    check(FileTable(paths, without_ending), paths)


def test_more_files_than_memory_may_hold_are_found_as_in_a_list():
    chosen = random.Random(0)
    folders = [f"{a}/{chosen.randrange(9999)}" for a in NAMES for _ in range(9)]
    paths = [f"{folder}/{name}{ending}" for folder in folders for name in NAMES for ending in ENDINGS]
    with mock.patch.object(on_disk, "CACHE_KIB", 64):
        check(FileTable(chosen.sample(paths, len(paths)), without_ending), paths)


@pytest.mark.parametrize("ask", [len, list, bool, FileTable.unnamed, lambda table: table.any_below("b")])
def test_a_look_up_uses_an_index_whatever_was_asked_before(ask):
    table = FileTable(["a/1.wav", "b/1.wav"], without_ending, lambda folder: [f"{folder}/1.wav"])
    ask(table)
    for query, values in ((AT, ("1", "a/")), (FOUND, ("1",))):
        first, *_ = table.of_stem("1", "a" if query is AT else None)
        assert first.locator == "a/1.wav"
        plan = table._database.all(f"EXPLAIN QUERY PLAN {query}", values)
        assert not any(row[3].startswith("SCAN files") for row in plan), plan


LAYOUTS = {
    "csv": audio("a/1.wav", "b/1.wav", "b/2.WAV", "c.wav", "ガ.wav")
    | {"metadata.csv": "path,sentence\nb/1,one\n2,two\n1,which?\nカ\u3099,three\ngone,four\n"},
    "sidecar": audio("b/1.wav", "a/2.wav", "a/2.mp3", "カ\u3099.wav", "c/alone.wav")
    | {"b/1.txt": "one", "a/2.normalized.txt": "two", "a/2.txt": "Two", "ガ.lab": "three", "b/note.txt": "!"},
    "tree": audio("s1/wav/1.wav", "s2/wav/1.wav", "s2/wav/2.wav", "3.wav")
    | {"s1/transcripts_utf8.txt": "1:one", "s2/transcripts_utf8.txt": "1:One\n2:two\n3:three\nnone"},
    "segments": audio("x.wav", "y/x.mp3")
    | {"x.srt": "1\n00:00:00,000 --> 00:00:01,000\none\n", "y/x.en.vtt": "00:00.000 --> 00:01.000\ntwo\n"}
    | {"x.vtt": "00:00.000 --> 00:01.000\nless\n"},
    "kaldi": audio("1.wav", "2.wav")
    | {"wav.scp": "r1 1.wav\nr2 2.wav\nr1 2.wav\nbroken\n", "utt2spk": "u1 anna\nu2 ben\n"}
    | {"text": "u2 two\nu1 one\nu3 three\n", "segments": "u1 r1 0 1\nu2 r2 1 2\n"},
}


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_corpus_is_read_alike_in_memory_and_out_of_it(tmp_path: Path, kind: str) -> None:
    root = build(tmp_path, LAYOUTS[kind])
    text = "metadata.csv" if kind == "csv" else None
    usual = Read(root, text)
    with mock.patch.multiple(on_disk, CACHE_KIB=1, BATCH=1, HELD=1):
        small = Read(root, text)
    assert usual.kind == small.kind == kind
    assert (small.all, small.without_text) == (usual.all, usual.without_text)
    assert usual.utterances
