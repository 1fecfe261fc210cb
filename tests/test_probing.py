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
    looked_at: ClassVar[Counter[str]] = Counter()

    def open(self, locator: str) -> BinaryIO:
        self.opened[locator] += 1
        return super().open(locator)

    def stat(self, locator: str) -> tuple[int, int]:
        self.looked_at[locator] += 1
        return super().stat(locator)


@pytest.fixture
def prober(make_clip):
    Counted.opened.clear()
    Counted.looked_at.clear()
    return Prober(Counted(make_clip("talk.wav", seconds=2.0).parent))


def segment(number: int, audio: str = "talk.wav") -> Utterance:
    return Utterance(f"s{number}", audio, "text", start=number / 100, end=number / 100 + 0.5)


def test_segments_share_one_look_at_their_recording_among_threads_too(prober):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: prober(segment(number)).header(), range(100)))
    assert {each.duration for each in found} == {2.0}
    assert prober.source.opened == {"talk.wav": 1}
    assert prober.source.looked_at["talk.wav"] <= 8, "threads that met it first, all at once"
    assert prober(segment(0)).version == FolderSource(prober.source.root).stat("talk.wav")


def test_whole_files_are_not_remembered(prober):
    for _ in range(2):
        prober(Utterance("w", "talk.wav", "text")).header()
    assert prober.source.opened == prober.source.looked_at == {"talk.wav": 2}


def test_a_fault_of_the_recording_is_told_for_each_of_its_segments(prober):
    (prober.source.root / "empty.wav").touch()
    for number in range(2):
        with pytest.raises(AudioError) as raised:
            prober(segment(number, "empty.wav")).header()
        assert raised.value.reason is Reason.EMPTY_FILE
    assert prober.source.opened == {"empty.wav": 1}


def test_what_is_remembered_is_bounded(prober, make_clip, monkeypatch):
    monkeypatch.setattr(headers, "REMEMBERED", 2)
    for number in range(5):
        prober(segment(number, make_clip(f"{number}.wav", seconds=1.0).name))
    assert len(prober._known) == 2
