"""A recording of any length is read in blocks, as if it had been decoded and resampled whole."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from pipeline.audio.decode import AudioError, decode, resample
from pipeline.audio.stream import open_stream
from pipeline.utterance import Reason


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("seconds", [0.4, 10.5, 33.2])
def test_the_blocks_are_the_whole_recording_resampled(make_clip, rate, seconds):
    path = make_clip("one.flac", seconds, rate)
    whole, _ = decode(path, max_seconds=60, deadline_seconds=60)
    with open_stream(path, 16_000) as stream:
        blocks = list(stream.blocks)
        assert (stream.rate, stream.samples) == (rate, len(whole))
    np.testing.assert_allclose(np.concatenate(blocks), resample(whole, rate, 16_000), atol=1e-6)
    assert max(map(len, blocks)) <= 12 * 16_000


def test_samples_that_are_no_numbers_are_an_error_with_a_reason(tmp_path):
    samples = np.zeros(16_000, np.float32)
    samples[9_000] = np.nan
    soundfile.write(tmp_path / "one.wav", samples, 16_000, subtype="FLOAT")
    with open_stream(tmp_path / "one.wav", 16_000) as stream, pytest.raises(AudioError) as error:
        list(stream.blocks)
    assert error.value.reason is Reason.NOT_FINITE
