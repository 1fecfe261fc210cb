"""From recordings without transcripts to a validated dataset, with the recogniser and the sample codec."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from segment_helpers import PROMPTS, SAMPLE, omissions, record, segments

from pipeline.__main__ import main
from pipeline.recognise.error_rate import count_errors
from pipeline.runtime import find_file

WHISPER = "build/models/tiny.en.pt"
LENIENT = ("min_stoi=0", "max_mos_drop=5", "min_matched=0", "max_bad_audio=1", "max_rate_outliers=1")
needs_whisper = pytest.mark.skipif(find_file(WHISPER) is None, reason="python tools/fetch_whisper.py")
TEXTS = list(PROMPTS.values())


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("end")
    record(root / "in/one.flac", [0, 2, 3])
    assert main(["segment", str(root / "in"), "-o", str(root / "prepared"), "--asr", WHISPER]) == 0
    return root


@needs_whisper
def test_the_words_and_their_language_are_heard(prepared):
    found = segments(prepared / "prepared")
    assert [row["language"] for row in found] == ["en"] * 3
    said = " ".join(TEXTS[number] for number in (0, 2, 3))
    assert count_errors(said, " ".join(row["text"] for row in found), "en").rate < 0.1
    assert all(row["confidence"] > 0.5 for row in found)


@needs_whisper
def test_recordings_become_a_dataset_that_validates(prepared, tmp_path, capsys):
    codec = ("--codec", str(SAMPLE / "codec"), "--num-workers", "0", "--format", "parquet")
    arguments = [
        "create",
        str(prepared / "in"),
        str(prepared / "prepared"),
        *codec,
        "-o",
        str(tmp_path / "out"),
    ]
    assert main(arguments) == 0
    rows = pq.read_table(tmp_path / "out/data/train-00000.parquet").to_pylist()
    found = segments(prepared / "prepared")
    assert [(row["text"], row["language"], row["audio"]) for row in rows] == [
        (row["text"], row["language"], row["audio"]) for row in found
    ]
    for row, segment in zip(rows, found, strict=True):
        samples = round((segment["end"] - segment["start"]) * 16_000)
        assert len(row["code"]) == samples // 320 + 1
        assert row["duration"] == pytest.approx(samples / 16_000)
    sets = [argument for each in LENIENT for argument in ("--set", f"validation.{each}")]
    assert main(["validate", str(tmp_path / "out"), "--sample", "1", "--exact", "1", *sets]) == 0
    assert json.loads((tmp_path / "out/report/metrics.json").read_text())["verdict"] == "pass"


@needs_whisper
def test_a_text_at_hand_gives_the_author_s_words_and_lists_what_is_not_said(prepared, tmp_path):
    text = f"Chapter 1.\n\n{TEXTS[0]}! A sentence that nobody reads aloud.\n{TEXTS[2]} {TEXTS[3]}\n"
    (tmp_path / "book.txt").write_text(text, encoding="utf-8")
    arguments = ["segment", str(prepared / "in"), "-o", str(tmp_path / "out"), "--asr", WHISPER]
    assert main([*arguments, "--align", str(tmp_path / "book.txt")]) == 0
    found = segments(tmp_path / "out")
    assert [row["text"] for row in found] == [f"{TEXTS[0]}!", TEXTS[2], TEXTS[3]]
    assert all(row["heard"] for row in found)
    left = [row["text"] for row in omissions(tmp_path / "out") if row["reason"] == "not_said"]
    assert left == ["Chapter 1.", "A sentence that nobody reads aloud."]
