"""WebDataset shards are a corpus: texts are read from the tars once, audio by offset."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from pathlib import Path

import pytest
from corpus_helpers import Read

from pipeline.audio import decode as audio
from pipeline.config import CorpusSettings
from pipeline.corpus import open_corpus
from pipeline.errors import UsageError
from pipeline.utterance import Reason


def write_tar(path: Path, members: dict[str, bytes | str | dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            raw = json.dumps(content).encode() if isinstance(content, dict) else content
            raw = raw.encode() if isinstance(raw, str) else raw
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))
    return path


def emilia(name: str, text: str) -> dict:
    """The JSON beside each MP3, as Emilia's shards have it."""
    return {
        "id": name,
        "wav": f"EN_B00000/{name}.mp3",
        "text": text,
        "duration": 5.1,
        "speaker": "EN_B00000_S00000",
        "language": "en",
        "dnsmos": 3.4,
    }


def test_emilia_s_layout_is_read_and_its_audio_is_the_member_s_bytes(tmp_path, make_clip):
    clips = {f"EN_W{i}": make_clip(f"{i}.flac", seconds=0.2 + i / 10) for i in range(3)}
    members: dict[str, bytes | str | dict] = {}
    for name, clip in clips.items():
        members |= {f"{name}.flac": clip.read_bytes(), f"{name}.json": emilia(name, f" Text of {name}.")}
    write_tar(tmp_path / "set/EN/EN-B000000.tar", members)
    read = Read(tmp_path / "set")
    assert read.kind == "webdataset"
    assert read.texts == {name: f"Text of {name}." for name in clips}
    source = pickle.loads(pickle.dumps(read.corpus.source))
    for name, each in read.utterances.items():
        assert (each.speaker, each.language, each.start) == ("EN_B00000_S00000", "en", None)
        with source.open(each.audio) as opened:
            assert opened.read() == clips[name].read_bytes()
        with source.open(each.audio) as opened:
            assert audio.probe(opened) == audio.probe(clips[name])
        assert source.stat(each.audio)[0] == clips[name].stat().st_size


def test_an_id_is_the_tar_and_the_member_where_the_texts_have_none(tmp_path):
    for tar in ("a", "b"):
        members = {"0.wav": b"x", "0.txt": "text", "1.wav": b"y", "1.json": {"text": "other"}}
        write_tar(tmp_path / f"set/{tar}.tar", members)
    assert Read(tmp_path / "set").texts == {
        "a/0": "text",
        "a/1": "other",
        "b/0": "text",
        "b/1": "other",
    }


def test_what_does_not_fit_together_is_rejected_or_reported(tmp_path):
    members = {
        "alone.wav": b"x",
        "silent.json": {"text": "no audio"},
        "bad.wav": b"x",
        "bad.json": "{",
        "latin.wav": b"x",
        "latin.txt": b"\xe9",
        "wordless.mp3": b"x",
        "wordless.json": {"duration": 1},
    }
    path = write_tar(tmp_path / "set/0.tar", members)
    read = Read(tmp_path / "set")
    assert sorted(read.reasons.values()) == [*[Reason.MALFORMED_TRANSCRIPT] * 3, Reason.MISSING_AUDIO]
    assert len(read.without_text) == 1
    assert "alone.wav" in read.without_text[0]
    path.write_bytes(path.read_bytes()[:2000])
    assert "cannot be read on" in Read(tmp_path / "set").all[-1].detail


def test_archives_beside_the_files_they_were_unpacked_to_are_not_the_corpus(tmp_path, make_clip):
    clip = make_clip("a.wav")
    (tmp_path / "audio/a.txt").write_text("text")
    write_tar(tmp_path / "audio/all.tar", {"a.wav": clip.read_bytes(), "a.txt": "text"})
    assert Read(tmp_path / "audio").kind == "sidecar"


def test_compressed_tars_are_refused_in_one_sentence(tmp_path):
    (tmp_path / "0.tar.gz").write_bytes(b"")
    with pytest.raises(UsageError, match="must be unpacked first"):
        open_corpus(CorpusSettings(audio=str(tmp_path), transcripts="webdataset"))


@pytest.mark.parametrize("locator", ["0.wav", "0.tar!a.wav", "0.tar!a.wav@1+x"])
def test_what_is_no_locator_is_not_there(tmp_path, locator):
    write_tar(tmp_path / "0.tar", {"a.wav": b"x", "a.txt": "text"})
    with pytest.raises(FileNotFoundError):
        Read(tmp_path).corpus.source.open(locator)
