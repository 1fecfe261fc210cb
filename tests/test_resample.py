from __future__ import annotations

import math
import zlib

import pytest
import torch
from audio_helpers import speechlike
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audio.decode import resample


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    samples=st.integers(1, 50_000),
    rate=st.sampled_from([8000, 11025, 16000, 22050, 32000, 44056, 44100, 44101, 48000, 96000]),
    target=st.sampled_from([16000, 24000]),
)
def test_a_resampled_clip_has_exactly_the_rounded_up_number_of_samples(samples, rate, target):
    resampled = resample(torch.from_numpy(speechlike(1.05)[:samples]), rate, target)
    assert len(resampled) == math.ceil(samples * target / rate)
    assert resampled.dtype == torch.float32


@pytest.mark.parametrize("rate", [44100, 44101])  # a kernel, and a ratio too odd for one
def test_resampling_keeps_a_tone_and_drops_what_the_target_cannot_hold(rate):
    t = torch.arange(rate, dtype=torch.float64) / rate
    kept = resample(torch.sin(2 * torch.pi * 1000 * t).float(), rate, 16000)
    expected = torch.sin(2 * torch.pi * 1000 * torch.arange(16000) / 16000)
    assert (kept - expected)[500:-500].abs().max() < 5e-3
    assert resample(torch.sin(2 * torch.pi * 12000 * t).float(), rate, 16000)[500:-500].abs().max() < 5e-3


def test_resampling_gives_the_same_bits_with_any_number_of_threads():
    waveform, threads = torch.from_numpy(speechlike(5.0)), torch.get_num_threads()
    sums = set()
    try:
        for count in (1, 2, 4):
            torch.set_num_threads(count)
            for rate in (44100, 48000, 44101):
                sums.add((rate, zlib.crc32(resample(waveform, rate, 16000).numpy().tobytes())))
    finally:
        torch.set_num_threads(threads)
    assert len(sums) == 3
