"""Codes back to waveforms: batched, and each clip as it comes out alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from codec_helpers import codec, padded, sound

LENGTHS = [16_000, 16_010, 9_000, 16_100, 700]  # several with as many codes, several not


@pytest.mark.parametrize("family", ["xcodec2", "neucodec"])
def test_a_clip_decoded_in_a_batch_is_the_clip_decoded_alone(family: str) -> None:
    one = codec(family)
    codes = one.encode(*padded([sound(n, seed) for seed, n in enumerate(LENGTHS)]))
    for clip, together in zip(codes, one.decode(codes), strict=True):
        given = torch.from_numpy(clip.astype(np.int64))[None, None]
        alone = one.reference._model.decode(audio_codes=given).audio_values[0, 0].numpy()
        assert together.dtype == np.float32
        np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize(("family", "rate"), [("xcodec2", 16_000), ("neucodec", 24_000)])
def test_a_code_is_a_fiftieth_of_a_second_of_sound(family: str, rate: int) -> None:
    one = codec(family)
    codes = one.encode(*padded([sound(n, 0) for n in LENGTHS]))
    assert [len(clip) for clip in codes] == [n // one.hop_length + one.extra_codes for n in LENGTHS]
    assert one.output_sample_rate == rate
    assert [len(waveform) for waveform in one.decode(codes)] == [len(clip) * rate // 50 for clip in codes]


def test_no_codes_are_no_sound() -> None:
    assert codec("xcodec2").decode([]) == []
    assert codec("xcodec2").decode([np.empty(0, np.uint16)])[0].shape == (0,)


def test_neucodec_has_no_codes_for_a_clip_shorter_than_one() -> None:
    short, long = sound(319, 0), sound(5_000, 1)
    codes = codec("neucodec", whole_batches=True).encode(*padded([short, long]))
    assert [len(clip) for clip in codes] == [0, 5_000 // 320]
    assert (codes[1] == codec("neucodec").reference.encode(long)).all()
    assert [len(clip) for clip in codec("neucodec").encode(*padded([short]))] == [0]
