"""Lhotse's manifests are a corpus: an utterance is a supervision, decoded by offset."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from corpus_helpers import Read, audio, build

from pipeline.audio.decode import decode
from pipeline.errors import UsageError
from pipeline.utterance import Utterance


def recording(name: str, source: str, seconds: float = 10.0, channels: tuple[int, ...] = (0,)) -> dict:
    return {
        "id": name,
        "sources": [{"type": "file", "channels": list(channels), "source": source}],
        "sampling_rate": 16000,
        "num_samples": round(seconds * 16000),
        "duration": seconds,
        "channel_ids": list(channels),
    }


def supervision(name: str, start: float, duration: float, text: str = "text", **more: object) -> dict:
    row = {"id": name, "recording_id": "r", "start": start, "duration": duration, "channel": 0, "text": text}
    return {**row, "language": "en", "speaker": "s", **more}


def cut(start: float, duration: float, supervisions: list[dict], of: dict) -> dict:
    row = {"id": "c", "start": start, "duration": duration, "channel": 0, "type": "MonoCut"}
    return {**row, "supervisions": supervisions, "recording": of}


def jsonl(path: Path, rows: list[dict]) -> Path:
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["cuts.jsonl", "train_cuts.jsonl.gz"])
def test_a_cut_s_supervisions_count_from_the_cut_s_start(tmp_path, name):
    build(tmp_path, audio("talk.wav"))
    both = [supervision("a", 0.5, 1.0), supervision("b", -0.25, 0.5)]
    whole = cut(0, 10.0, [supervision("w", 0, 10.0)], recording("r", "talk.wav"))
    jsonl(tmp_path / name, [cut(3.0, 4.0, both, recording("r", "/elsewhere/x/talk.wav")), whole])
    build(tmp_path, audio("x/talk.wav"))
    read = Read(tmp_path)
    assert read.kind == "lhotse"
    assert read.all == [
        Utterance("a", "x/talk.wav", "text", "s", "en", 3.5, 4.5),
        Utterance("b", "x/talk.wav", "text", "s", "en", 2.75, 3.25),
        Utterance("w", "talk.wav", "text", "s", "en"),
    ]


def test_supervisions_are_read_with_the_recordings_beside_them(tmp_path):
    build(tmp_path, audio("a/talk.flac"))
    jsonl(tmp_path / "my_supervisions_dev.jsonl.gz", [supervision("s1", 1.0, 2.0)])
    with pytest.raises(UsageError, match=r"no file of their recordings, my_recordings_dev\.jsonl\.gz"):
        Read(tmp_path)
    jsonl(tmp_path / "my_recordings_dev.jsonl.gz", [recording("r", "a/talk.flac")])
    assert Read(tmp_path).all == [Utterance("s1", "a/talk.flac", "text", "s", "en", 1.0, 3.0)]


def test_what_must_be_computed_first_is_rejected_and_says_so(tmp_path):
    build(tmp_path, audio("talk.wav"))
    plain = recording("r", "talk.wav")
    stereo = recording("r", "talk.wav", channels=(0, 1))
    command = {**plain, "sources": [{"type": "command", "channels": [0], "source": "sox …"}]}
    rows = [
        cut(0, 1, [supervision("a", 0, 1)], stereo),
        cut(0, 1, [supervision("b", 0, 1)], command),
        cut(0, 1, [supervision("c", 0, 1)], {**plain, "transforms": [{"name": "Speed"}]}),
        cut(0, 1, [], plain),
        {"id": "m", "type": "MixedCut", "tracks": []},
        cut(0, 1, [{"id": "d"}], plain),
        cut(0, 1, [supervision("e", 0, -1)], plain),
        cut(0, 1, [supervision("good", 0, 1, channel=[0, 1])], stereo),
    ]
    jsonl(tmp_path / "cuts.jsonl", rows)
    read = Read(tmp_path)
    assert list(read.utterances) == ["good"]
    assert len(read.rejections) == 7
    assert all("cuts.jsonl:" in each.detail for each in read.rejections.values())


def test_a_segment_holds_the_samples_of_its_place(tmp_path, make_clip):
    make_clip("talk.flac", seconds=3.0)
    jsonl(
        tmp_path / "audio/cuts.jsonl",
        [cut(1.0, 1.0, [supervision("a", 0.5, 0.25)], recording("r", "talk.flac", 3.0))],
    )
    corpus = Read(tmp_path / "audio").corpus
    [found] = corpus.utterances()
    limits = {"max_seconds": 9.0, "deadline_seconds": 9.0}
    with corpus.source.open(found.audio) as opened:
        whole, _ = decode(opened, **limits)
        part, _ = decode(opened, start=found.start, end=found.end, **limits)
    assert part.equal(whole[24000:28000])
