"""The sample corpus is what it says: every clip decodes whole, whichever decoder reads it."""

from pathlib import Path

import av
import pytest

from pipeline.audio.decode import decode

SAMPLE = Path(__file__).parents[1] / "data" / "sample"
CLIPS = sorted(path for path in (SAMPLE / "audio").rglob("*") if path.is_file())
PADDING = 0.1  # seconds that a lossy encoder may add or a container may leave out


def seconds_by_ffmpeg(path):
    with av.open(str(path), format="g722" if path.suffix == ".g722" else None) as container:
        return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


@pytest.mark.parametrize("path", CLIPS, ids=lambda path: path.name)
def test_a_clip_is_loud_and_as_long_for_one_decoder_as_for_another(path):
    waveform, rate = decode(path, max_seconds=60, deadline_seconds=60)
    assert len(waveform) / rate == pytest.approx(seconds_by_ffmpeg(path), abs=PADDING)
    assert 0.2 < waveform.abs().max() < 1.1


def test_every_clip_has_its_text_and_every_text_its_clip():
    lines = (SAMPLE / "transcripts.txt").read_text(encoding="utf-8").splitlines()
    assert sorted(line.split(":", 1)[0] for line in lines) == sorted(path.stem for path in CLIPS)
    assert len(CLIPS) == 64
