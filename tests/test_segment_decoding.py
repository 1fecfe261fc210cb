"""Recordings are decoded in processes of their own: one that takes its decoder down is rejected alone."""

from __future__ import annotations

import numpy as np
import pytest
from audio_helpers import HarmfulSource
from segment_helpers import omissions, record, segments

from pipeline.audio.decode import AudioError
from pipeline.segment.reading import read_ahead
from pipeline.segment.run import segment_recordings
from pipeline.segment.settings import SegmentSettings
from pipeline.utterance import Reason


def read(folder, names, patience=60.0):
    """Each recording's pieces, or why there are none."""
    found = {}
    for reader in read_ahead(HarmfulSource(folder), names, SegmentSettings(), 2, patience):
        try:
            found[reader.audio] = [(piece.start, piece.end) for piece in reader.pieces()]
        except AudioError as error:
            found[reader.audio] = error.reason
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("harmful")
    for name in ("a", "segfaults", "b", "hangs", "interrupts", "once", "kills", "c"):
        record(folder / f"{name}.wav", [1, 0])
    return folder


def test_a_recording_that_crashes_its_decoder_is_rejected_and_the_others_are_read(folder):
    found = read(folder, ["a.wav", "segfaults.wav", "b.wav", "interrupts.wav", "c.wav"])
    assert found["segfaults.wav"] is Reason.DECODER_CRASHED
    whole = found["a.wav"]
    assert len(whole) == 2
    assert [found[name] for name in ("b.wav", "interrupts.wav", "c.wav")] == [whole] * 3


def test_a_process_killed_by_others_is_replaced_and_the_recording_tried_again(folder):
    found = read(folder, ["once.wav", "kills.wav", "c.wav"])
    assert found == {"once.wav": found["c.wav"], "kills.wav": Reason.DECODER_CRASHED, "c.wav": found["c.wav"]}


def test_a_decoder_that_hangs_costs_its_recording(folder, monkeypatch):
    monkeypatch.setattr("pipeline.segment.decoding.OPENING", 1.0)
    monkeypatch.setattr("pipeline.segment.decoding.GRACE", 0.0)
    assert read(folder, ["hangs.wav"]) == {"hangs.wav": Reason.DECODE_TIMEOUT}


def test_a_run_lists_the_recording_with_its_reason(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.segment.run.source_of", lambda root, *_: HarmfulSource(root))
    for name in ("a", "segfaults"):
        record(tmp_path / f"in/{name}.wav", [1, 0])
    settings = SegmentSettings(asr="fake:")
    segment_recordings(str(tmp_path / "in"), str(tmp_path / "out"), settings, say=lambda _: None)
    assert {row["audio"] for row in segments(tmp_path / "out")} == {"a.wav"}
    assert [(row["audio"], row["reason"]) for row in omissions(tmp_path / "out")] == [
        ("segfaults.wav", "decoder_crashed")
    ]


def test_whoever_stops_reading_leaves_no_process_behind(folder):
    import multiprocessing

    readers = read_ahead(HarmfulSource(folder), ["a.wav", "b.wav", "c.wav"], SegmentSettings(), 2)
    piece = next(next(readers).pieces())
    assert piece.waveform.dtype == np.float32
    readers.close()
    assert multiprocessing.active_children() == []
