"""Speech of many languages is found and cut by its sound alone, whatever a recogniser knows."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from segment_helpers import RATE, silence

from pipeline.audio.decode import decode, resample
from pipeline.recognise.speech import load_network
from pipeline.segment.cutting import cut_stream
from pipeline.segment.settings import SegmentSettings

pytestmark = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="apt-get install espeak-ng")
SENTENCES = {
    "ja": ["きょうはとてもいいてんきですね。", "あしたはあめがふるとおもいます。"],
    "de": ["Heute scheint die Sonne über der ganzen Stadt.", "Morgen wird es wahrscheinlich regnen."],
    "fr-fr": ["Il fait très beau aujourd'hui dans la ville.", "Demain il va probablement pleuvoir."],
    "ru": ["Сегодня очень хорошая погода в городе.", "Завтра, наверное, будет дождь."],
    "cmn": ["今天天气非常好我们去公园。", "明天可能会下雨所以在家。"],
    "sw": ["Leo hali ya hewa ni nzuri sana mjini.", "Kesho labda mvua itanyesha."],
}


def say(language: str, text: str, path) -> np.ndarray:
    subprocess.run(["espeak-ng", "-v", language, "-w", str(path), text], check=True, capture_output=True)
    waveform, rate = decode(path, max_seconds=60, deadline_seconds=60)
    spoken = resample(waveform, rate, RATE).numpy()
    loud = np.flatnonzero(np.abs(spoken) > 0.02 * np.abs(spoken).max())
    return spoken[loud[0] : loud[-1] + 1]


@pytest.mark.parametrize("language", SENTENCES)
def test_each_sentence_between_pauses_is_a_piece(language, tmp_path):
    clips = [say(language, text, tmp_path / "said.wav") for text in SENTENCES[language]]
    parts = [silence(1), clips[0], silence(1.2), clips[1], silence(1)]
    begins = np.cumsum([0, *map(len, parts)])[1:-1:2]
    pieces = list(cut_stream([np.concatenate(parts)], load_network(), SegmentSettings(pause=0.8)))
    assert len(pieces) == 2
    for piece, begin, clip in zip(pieces, begins, clips, strict=True):
        inside = min(piece.end, begin + len(clip)) - max(piece.start, begin)
        assert inside > 0.97 * len(clip)
        assert piece.end - piece.start < len(clip) + 0.5 * RATE
