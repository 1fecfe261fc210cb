"""What a recogniser hears is kept where it can be believed, and left out with the reason where not."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.recognise.recogniser import RATE, Heard
from pipeline.segment.cutting import Piece
from pipeline.segment.listening import Listener
from pipeline.segment.records import Left
from pipeline.segment.settings import SegmentSettings


class Hears:
    """A recogniser that hears the same in everything."""

    name, language = "hears", "en"

    def __init__(self, text: str, confidence: float | None = 0.9) -> None:
        self.heard = Heard(text, "en", confidence)

    def transcribe(self, waveforms, language):
        return [self.heard for _ in waveforms]

    def words(self, waveform, language):
        return None


def reason(text: str, confidence: float | None = 0.9, seconds: float = 3.0, **settings):
    piece = Piece(0, round(seconds * RATE), np.zeros(round(seconds * RATE), np.float32))
    listener = Listener(Hears(text, confidence), None, SegmentSettings(**settings))
    [[found]] = list(listener.listen([piece]))
    return found.reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Left.NOT_HEARD),
        (" ...! ", Left.NOT_HEARD),
        ("== ♪", Left.NOT_HEARD),
        ("la la la " * 20, Left.REPETITIVE),
        ("Thank you for watching. " * 8, Left.REPETITIVE),
        ("no", Left.SPARSE),
        ("The rain in Spain stays mainly in the plain.", None),
        ("12", None),  # twelve: numbers are counted as they are read
        ("今日はいい天気です", None),
    ],
)
def test_what_is_no_transcript_of_the_speech_is_left_out(text, expected):
    assert reason(text) is expected


def test_a_text_that_ends_early_is_left_out_however_sure_it_is():
    assert reason("Pound.", 0.99, seconds=14.4) is Left.SPARSE
    assert reason("Pound.", 0.99, seconds=1.0) is None


def test_what_the_recogniser_is_not_sure_of_is_left_out_where_it_tells():
    text = "a voice in the next room"
    assert reason(text, 0.34) is Left.UNSURE
    assert reason(text, 0.36) is None
    assert reason(text, 0.36, min_confidence=0.5) is Left.UNSURE
    assert reason(text, None) is None


class StopsEarly(Hears):
    """A recogniser that hears all of what is short, and one word of what is long."""

    def transcribe(self, waveforms, language):
        short = Heard("All of this was said and heard", "en", 0.9)
        return [short if len(each) < 4 * RATE else Heard("All", "en", 0.9) for each in waveforms]


def test_what_a_recogniser_stopped_in_is_heard_again_before_and_after_its_longest_pause():
    waveform = np.random.default_rng(0).normal(0, 0.1, 7 * RATE).astype(np.float32)
    waveform[3 * RATE : 4 * RATE] = 0
    pauses = ((1 * RATE, 1 * RATE + 5000), (3 * RATE, 4 * RATE), (5 * RATE, 5 * RATE + 5000))
    listener = Listener(StopsEarly("All"), None, SegmentSettings())
    [[one, two]] = list(listener.listen([Piece(0, len(waveform), waveform, pauses=pauses)]))
    assert (one.reason, two.reason) == (None, None)
    assert one.piece.start == 0
    assert (one.piece.end / RATE, two.piece.start / RATE) == pytest.approx((3.1, 3.9), abs=0.1)
    assert two.piece.end == 7 * RATE
    for part in (one.piece, two.piece):
        assert np.array_equal(part.waveform, waveform[part.start : part.end])
