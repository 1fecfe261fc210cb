"""Long recordings with time-stamped transcripts are a corpus of their segments."""

from __future__ import annotations

import json

import pytest
from corpus_helpers import Read, audio, build

from pipeline.errors import UsageError
from pipeline.utterance import Reason, Utterance

SRT = """1
00:00:01,500 --> 00:00:03,000
<i>Hello</i> &amp; {\\an8}welcome,
everyone.

2
00:00:04,000 --> 00:00:03,000
backwards

3
01:00:00,000 --> 01:00:01,000
An hour in.
"""
VTT = """WEBVTT - a title

NOTE 00:01 is not a cue
but a note

STYLE
::cue { color: red }

intro
00:01.500 --> 00:03.000 align:start position:0%
<v.loud Mary Ann>Hello <00:00:02.000><c>there</c></v>
"""
WHISPER = {
    "text": "all",
    "language": "ja",
    "segments": [
        {"id": 0, "seek": 0, "start": 0.0, "end": 1.25, "text": " はい。", "tokens": [1]},
        {"id": 1, "seek": 0, "start": 1.25, "end": 2, "text": " いいえ。", "speaker": "SPEAKER_01"},
    ],
}


def test_srt_cues_are_utterances_without_their_markup(tmp_path):
    build(tmp_path, {**audio("talks/one.mp3"), "talks/one.srt": SRT})
    read = Read(tmp_path, language="en")
    assert read.kind == "segments"
    assert list(read.utterances.values()) == [
        Utterance(
            "talks/one-00001500-00003000", "talks/one.mp3", "Hello & welcome, everyone.", None, "en", 1.5, 3.0
        ),
        Utterance("talks/one-03600000-03601000", "talks/one.mp3", "An hour in.", None, "en", 3600.0, 3601.0),
    ]
    assert read.reasons == {"talks/one.srt:7": Reason.MALFORMED_TRANSCRIPT}


def test_webvtt_names_the_speaker_and_the_file_s_name_the_language(tmp_path):
    build(tmp_path, {**audio("one.m4a"), "one.en.vtt": VTT})
    assert Read(tmp_path).all == [
        Utterance("one-00001500-00003000", "one.m4a", "Hello there", "Mary Ann", "en", 1.5, 3.0)
    ]


def test_whisper_s_json_is_preferred_and_tells_language_and_speaker(tmp_path):
    build(tmp_path, {**audio("one.wav"), "one.srt": SRT, "one.json": json.dumps(WHISPER)})
    assert Read(tmp_path).all == [
        Utterance("one-00000000-00001250", "one.wav", "はい。", None, "ja", 0.0, 1.25),
        Utterance("one-00001250-00002000", "one.wav", "いいえ。", "SPEAKER_01", "ja", 1.25, 2.0),
    ]


@pytest.mark.parametrize(
    "content",
    [
        [{"start": 0.5, "end": 1.5, "text": "hi"}],
        {"segments": [{"start": "0.5", "end": "1.5", "text": "hi", "words": []}]},
        {
            "result": {"language": "en"},
            "transcription": [{"offsets": {"from": 500, "to": 1500}, "text": " hi"}],
        },
    ],
)
def test_other_json_with_segments_is_read_too(tmp_path, content):
    build(tmp_path, {**audio("one.wav"), "one.json": json.dumps(content)})
    [found] = Read(tmp_path).all
    assert (found.text, found.start, found.end) == ("hi", 0.5, 1.5)


def test_one_transcript_is_of_the_recording_of_its_name_or_the_only_one(tmp_path):
    build(tmp_path, {**audio("a/one.wav"), "subtitles.srt": SRT})
    assert Read(tmp_path / "a", "../subtitles.srt").kind == "segments"
    build(tmp_path, audio("a/subtitles.ogg"))
    assert {each.audio for each in Read(tmp_path / "a", "../subtitles.srt").utterances.values()} == {
        "subtitles.ogg"
    }


def test_json_of_single_clips_stays_a_sidecar(tmp_path):
    build(tmp_path, {**audio("one.mp3"), "one.json": json.dumps({"text": "hi", "language": "en"})})
    assert Read(tmp_path).kind == "sidecar"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("one.json", "{"),
        ("one.json", '[{"start": 1, "text": "no end"}]'),
        ("one.json", '[{"start": 3, "end": 1, "text": "backwards"}]'),
        ("one.json", '[{"start": 1, "end": 2}]'),
        ("one.srt", b"\xff1\n00:00:01,000 --> 00:00:02,000\ntext\n"),
        ("one.srt", "1\n0:0:1 --> soon\ntext\n"),
    ],
)
def test_what_cannot_be_read_is_rejected_with_its_place(tmp_path, name, content):
    build(tmp_path, {**audio("one.wav"), name: content})
    [rejection] = Read(tmp_path, transcripts="segments").all
    assert rejection.reason is Reason.MALFORMED_TRANSCRIPT
    assert rejection.detail.startswith(name)


def test_a_folder_without_such_transcripts_is_told_so(tmp_path):
    build(tmp_path, audio("one.wav"))
    with pytest.raises(UsageError, match=r"no \.json, \.srt, \.vtt.* beside a recording"):
        Read(tmp_path, transcripts="segments")
