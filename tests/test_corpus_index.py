"""Names in transcripts find the files they mean, and no others."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from corpus_helpers import audio, build

from pipeline.corpus.audio_index import AudioIndex
from pipeline.corpus.entry import Scope
from pipeline.corpus.listing import scan


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("one", ["b/one.wav"]),
        ("one.wav", ["b/one.wav"]),
        ("one.mp3", ["b/one.wav"]),  # the transcript is of the corpus before it was converted
        ("b/one", ["b/one.wav"]),
        ("b\\one.wav", ["b/one.wav"]),
        ("./b/one.wav", ["b/one.wav"]),
        ("a/one", []),
        ("two words", ["b/two words.FLAC"]),
        ("v1.2", ["v1.2.wav"]),
        ("twice", ["a/twice.wav", "b/twice.wav"]),
        ("b/twice", ["b/twice.wav"]),
        ("both", ["b/both.wav"]),  # lossless before lossy
        ("both.mp3", ["b/both.mp3"]),
        ("clips/b/one", ["b/one.wav"]),  # the audio folder's own name
        ("other/b/one", []),
        ("/gone/b/one.wav", ["b/one.wav"]),
        ("C:\\gone\\b\\one.wav", ["b/one.wav"]),
        ("/gone/one.wav", []),
        ("/gone/c/one.wav", []),
        ("hidden", []),
        ("", []),
        (".", []),
        ("..", []),
        ("/", []),
    ],
)
def test_a_name_finds_the_files_that_fit_it(tmp_path: Path, name: str, found: list[str]) -> None:
    files = audio("b/one.wav", "b/two words.FLAC", "v1.2.wav", "a/twice.wav", "b/twice.wav")
    files |= audio("b/both.mp3", "b/both.wav", ".hidden.wav", ".git/hidden.wav", "b/one.txt")
    assert AudioIndex(build(tmp_path / "clips", files)).find(name) == found


def test_the_file_beside_the_transcript_is_meant_before_others(tmp_path: Path) -> None:
    index = AudioIndex(build(tmp_path, audio("1.wav", "a/1.wav", "b/x/1.wav", "c/1.wav")))
    assert index.find("1") == ["1.wav"]
    assert index.find("1", near="c") == ["c/1.wav"]
    assert index.find("../a/1.wav", near="c") == ["a/1.wav"]
    assert index.find("1", near="b", scope=Scope.BELOW) == ["b/x/1.wav"]
    assert index.find("1", near="d", scope=Scope.BELOW) == []
    assert index.find("x/1", scope=Scope.EXACT) == []


def test_an_absolute_path_is_its_own_locator(tmp_path: Path) -> None:
    build(tmp_path, audio("clips/1.wav", "elsewhere/1.wav", "elsewhere/notes.txt"))
    index = AudioIndex(tmp_path / "clips")
    assert index.find(f"{tmp_path}/clips/1.wav") == ["1.wav"]
    assert index.find(f"{tmp_path}/clips/2.wav") == []
    assert index.find(f"{tmp_path}/elsewhere/1.wav", leave=True) == [f"{tmp_path}/elsewhere/1.wav"]
    assert index.find("../elsewhere/1.wav", near="", leave=True) == [f"{tmp_path}/elsewhere/1.wav"]
    assert index.find(f"{tmp_path}/elsewhere/notes.txt", leave=True) == []


def test_audio_out_of_the_corpus_is_found_by_permission_alone(tmp_path: Path) -> None:
    build(tmp_path, audio("clips/1.wav", "elsewhere/1.wav", "texts/2.wav"))
    index = AudioIndex(tmp_path / "clips", also=tmp_path / "texts")
    for name in (f"{tmp_path}/elsewhere/1.wav", "../elsewhere/1.wav", f"{tmp_path}/texts/../elsewhere/1.wav"):
        assert index.find(name, near="") == []
        assert index.is_outside(name, near="")
    assert index.find(f"{tmp_path}/texts/2.wav") == [f"{tmp_path}/texts/2.wav"]
    assert index.is_outside("https://example.org/1.wav")
    assert not index.is_outside("/gone/1.wav")
    assert AudioIndex(tmp_path / "clips", leave=True).find("https://example.org/1.wav") == [
        "https://example.org/1.wav"
    ]


@pytest.mark.parametrize(
    "name", ["x" * 300, "a\0b", "/nowhere/" + "y/" * 3000 + "1.wav", "../" * 5000, "1\ud800"]
)
def test_a_name_that_no_file_can_have_finds_none(tmp_path: Path, name: str) -> None:
    build(tmp_path, audio("b/1.wav"))
    index = AudioIndex(tmp_path)
    for each in (name, f"b/{name}", f"{tmp_path}/b/{name}", f"/{name}"):
        assert index.find(each, leave=True) == []
        assert not index.is_outside(each)


def test_what_is_no_regular_file_is_not_indexed(tmp_path: Path) -> None:
    build(tmp_path, audio("a.wav"))
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nothing.wav")
    index = AudioIndex(tmp_path)
    assert list(index) == ["a.wav"]
    for name in ("pipe", "loop.wav", f"{tmp_path}/pipe.wav"):
        assert index.find(name, leave=True) == []


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("in_text", ["NFC", "NFD"])
def test_composed_and_decomposed_names_are_the_same(tmp_path: Path, on_disk: str, in_text: str) -> None:
    name = "がぎ/パ é"
    stored = unicodedata.normalize(on_disk, name) + ".wav"
    index = AudioIndex(build(tmp_path, audio(stored)))
    assert index.find(unicodedata.normalize(in_text, name)) == [stored]
    assert index.find(unicodedata.normalize(in_text, name).rpartition("/")[2]) == [stored]
    assert (index.root / stored).is_file()


def test_links_are_followed_once_and_their_loops_end(tmp_path: Path) -> None:
    build(tmp_path, audio("real/z/1.wav", "outside/2.wav"))
    (tmp_path / "real/a").symlink_to(tmp_path / "real/z")
    (tmp_path / "real/z/loop").symlink_to(tmp_path / "real")
    (tmp_path / "real/out").symlink_to(tmp_path / "outside")
    (tmp_path / "real/broken.wav").symlink_to(tmp_path / "gone.wav")
    index = AudioIndex(tmp_path / "real")
    assert list(index) == ["out/2.wav", "z/1.wav"]
    assert index.find("a/1.wav") == ["a/1.wav"]


def test_a_name_that_is_not_unicode_is_listed_and_not_indexed(tmp_path: Path) -> None:
    with open(os.path.join(os.fsencode(tmp_path), b"caf\xe9.wav"), "wb"):  # noqa: PTH118, PTH123
        pass
    index = AudioIndex(tmp_path)
    assert (list(index), list(index.unnameable())) == ([], ["caf\\xe9.wav"])


def test_an_ending_narrows_the_index_and_may_be_an_unusual_one(tmp_path: Path) -> None:
    build(tmp_path, audio("1.wav", "2.sph", "3.SPH"))
    index = AudioIndex(tmp_path, "sph")
    assert list(index) == ["2.sph", "3.SPH"]
    assert index.find("2") == index.find("2.sph") == ["2.sph"]


def test_the_order_of_files_is_that_of_their_names(tmp_path: Path) -> None:
    names = ["b/1.wav", "a/2.wav", "a/1.wav", "a/10.wav", "c.wav"]
    assert list(scan(build(tmp_path, audio(*names)), [".wav"])) == sorted(names)
