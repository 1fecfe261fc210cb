"""The header of a long recording is read once, however many utterances lie in it."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, ClassVar

import pytest

from pipeline.audio import headers
from pipeline.audio.decode import AudioError
from pipeline.audio.headers import Prober
from pipeline.audio.source import FolderSource
from pipeline.utterance import Reason, Utterance


class Counted(FolderSource):
    opened: ClassVar[Counter[str]] = Counter()

    def open(self, locator: str) -> BinaryIO:
        self.opened[locator] += 1
        return super().open(locator)


@pytest.fixture
def prober(make_clip):
    Counted.opened.clear()
    return Prober(Counted(make_clip("talk.wav", seconds=2.0).parent))


def segment(number: int, audio: str = "talk.wav") -> Utterance:
    return Utterance(f"s{number}", audio, "text", start=number / 100, end=number / 100 + 0.5)


def test_segments_share_one_look_at_their_recording_among_threads_too(prober):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: prober(segment(number), 1, 2), range(100)))
    assert {each.duration for each in found} == {2.0}
    assert prober.source.opened == {"talk.wav": 1}


def test_a_recording_that_changed_is_read_again_and_whole_files_are_not_remembered(prober):
    prober(segment(0), 1, 2)
    prober(segment(1), 1, 3)
    assert prober.source.opened == {"talk.wav": 2}
    for _ in range(2):
        prober(Utterance("w", "talk.wav", "text"), 1, 3)
    assert prober.source.opened == {"talk.wav": 4}


def test_a_fault_of_the_recording_is_told_for_each_of_its_segments(prober):
    (prober.source.root / "empty.wav").touch()
    for number in range(2):
        with pytest.raises(AudioError) as raised:
            prober(segment(number, "empty.wav"), 0, 0)
        assert raised.value.reason is Reason.EMPTY_FILE
    assert prober.source.opened == {"empty.wav": 1}


def test_what_is_remembered_is_bounded(prober, monkeypatch):
    monkeypatch.setattr(headers, "REMEMBERED", 2)
    for time in range(5):
        prober(segment(0), 1, time)
    assert len(prober._known) == len(prober._busy) == 2
