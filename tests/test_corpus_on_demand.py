"""What a name finds does not depend on which folders were listed before, and no more are than it takes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from corpus_helpers import audio, build
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.config import CorpusSettings
from pipeline.corpus import listing, open_corpus
from pipeline.corpus.audio_index import AudioIndex
from pipeline.corpus.entry import Scope
from pipeline.corpus.listing import walk
from pipeline.storage.on_disk import DiskMap
from pipeline.utterance import Utterance

# Folders with two spellings, hidden ones, and some whose names begin alike.
FOLDERS = ("", "a", "a/b", "a b", "b", "é", "e\u0301", "a/é", ".hidden", "カ\u3099", "ガ/1", "\uf900")
NAMES = ("1.wav", "1.WAV", "1.mp3", "2.flac", "é.wav", "e\u0301.wav", ".3.wav", "note.txt")
LINKS = (("linked", "a"), ("b/deep", "a/b"), ("a/loop", "."))
ASKED = ("1", "1.mp3", "1.WAV", "a/1", "b/1", "é/1", "é", "e\u0301", "linked/1.wav", "b/deep/2", "ガ/1/1")
ASKED += (
    "\u8c48/1",
    "../a/1",
    "./1",
    "3",
    ".hidden/1",
    "gone/1",
    "root/a/1",
    "a/loop/1",
    "1/2",
    "\0",
    "x" * 300,
)
QUESTIONS = st.tuples(
    st.sampled_from(ASKED), st.none() | st.sampled_from(["", *FOLDERS[1:5], "é"]), st.sampled_from(Scope)
)


@given(
    st.sets(st.tuples(st.sampled_from(FOLDERS), st.sampled_from(NAMES)), max_size=20),
    st.sets(st.sampled_from(LINKS)),
    st.lists(QUESTIONS, max_size=8),
)
@example({("\uf900", "1.wav")}, set(), [("\u8c48/1", None, Scope.EXACT)])  # of one character in two codes
def test_names_find_what_they_do_when_all_was_listed_first(files, links, questions):
    with TemporaryDirectory() as folder:
        root = Path(folder, "root")
        root.mkdir()
        build(root, audio(*(f"{where}/{name}".lstrip("/") for where, name in files)))
        for name, target in links:
            if (root / name).parent.is_dir():
                (root / name).symlink_to(root / target)
        on_demand = AudioIndex(root)
        whole = AudioIndex(root, listing=list(walk(root, on_demand.endings)))
        assert [on_demand.take(*each) for each in questions] == [whole.take(*each) for each in questions]
        assert list(on_demand.unnamed()) == list(whole.unnamed())
        assert list(on_demand) == list(whole)
        assert bool(AudioIndex(root)) == bool(whole)


@contextmanager
def listed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The folders that are read meanwhile."""
    read, entries = list[str](), listing._entries

    def noted(root: Path, folder: str, entered: DiskMap[bool]) -> Iterator[os.DirEntry[str]]:
        read.append(folder)
        return entries(root, folder, entered)

    with monkeypatch.context() as patch:
        patch.setattr(listing, "_entries", noted)
        yield read


MANY = [f"{folder:02d}/{number}" for folder in range(50) for number in range(3)]
TEXTS = {
    "jsonl": {"manifest.jsonl": "".join(f'{{"audio": "{name}.wav", "text": "{name}"}}\n' for name in MANY)},
    "csv": {"metadata.csv": "path,sentence\n" + "".join(f"{name}.wav,{name}\n" for name in MANY)},
    "sidecar": {f"{name}.txt": name for name in MANY},
}


@pytest.mark.parametrize("form", TEXTS)
def test_the_first_entries_need_the_folders_that_they_name(tmp_path, monkeypatch, form):
    root = build(tmp_path, audio(*(f"{name}.wav" for name in MANY), "z/alone.wav") | TEXTS[form])
    with listed(monkeypatch) as read:
        corpus = open_corpus(CorpusSettings(audio=str(root), transcripts=form))
        utterances = corpus.utterances()
        first = list(islice(utterances, 9))
        assert all(isinstance(each, Utterance) for each in first)
        assert set(read) <= {"", "00", "01", "02", "03"}  # a folder of texts ends where the next begins
        rest = [each.text for each in utterances if isinstance(each, Utterance)]
    assert [*(each.text for each in first), *rest] == MANY
    assert list(corpus.audio_without_text()) == ["z/alone.wav"]


def test_absolute_paths_below_the_folder_need_their_own_folders_only(tmp_path, monkeypatch):
    root = build(tmp_path, audio(*(f"{name}.wav" for name in MANY)))
    rows = [json.dumps({"audio_filepath": str(root / name) + ".wav", "text": name}) for name in MANY]
    (root / "manifest.jsonl").write_text("\n".join(rows))
    with listed(monkeypatch) as read:
        settings = CorpusSettings(
            audio=str(root), text=str(root / "manifest.jsonl")
        )  # the form is recognised
        first = next(open_corpus(settings).utterances())
    assert isinstance(first, Utterance)
    assert first.audio == "00/0.wav"
    assert set(read) - {""} == {"00"}
