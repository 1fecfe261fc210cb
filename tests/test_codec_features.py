"""Log-mel features of a batch equal those of Kaldi's `fbank`, clip by clip, and of the models' extractors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from codec_helpers import neucodec, padded, sound, xcodec2
from torch import Tensor
from torchaudio.compliance.kaldi import fbank

from pipeline.codec.log_mel import MELS, PADDING, LogMel, _statistics

LENGTHS = [16_000, 16_319, 700, 54_321, 320]
CPU = torch.device("cpu")


def whole_codes(pad_samples: int) -> tuple[Tensor, Tensor]:
    batch, lengths = padded([sound(n, seed) for seed, n in enumerate(LENGTHS)])
    own = (lengths // 320 + 1) * 320
    return torch.nn.functional.pad(batch, (0, int(own.max()) - batch.shape[1])), own


def test_features_equal_kaldis_after_normalising_each_clip() -> None:
    batch, own = whole_codes(160)
    made, _ = LogMel(160, CPU)(batch, own)
    for row, (clip, length) in enumerate(zip(batch, own.tolist(), strict=True)):
        edged = torch.nn.functional.pad(clip[None, :length], (160, 160)) * 2**15
        log_mel = fbank(edged, num_mel_bins=MELS, low_freq=20, high_freq=8_000, sample_frequency=16_000)
        expected = (log_mel - log_mel.mean(0)) / torch.sqrt(log_mel.var(0) + 1e-7)
        num_frames = len(expected) // 2
        torch.testing.assert_close(made[row, :num_frames].reshape(-1, MELS), expected, atol=1e-4, rtol=0)
        assert (made[row, num_frames:] == PADDING).all()


@pytest.mark.parametrize(("pad_samples", "family"), [(160, xcodec2), (0, neucodec)])
def test_features_equal_the_extractors(pad_samples: int, family: Any) -> None:
    batch, own = whole_codes(pad_samples)
    mel = LogMel(pad_samples, CPU)
    made, _ = mel(batch, own)
    for row, length in enumerate(LENGTHS):
        inputs = family()[1](audio=batch[row, :length].numpy(), sampling_rate=16_000, return_tensors="pt")
        expected = inputs["input_features"][0]
        assert int(mel.num_frames(own)[row]) == len(expected)
        torch.testing.assert_close(made[row, : len(expected)], expected, atol=1e-5, rtol=0)


def test_statistics_by_masks_are_those_of_each_clip() -> None:
    logs, frames = torch.randn(3, 50, MELS) + 7, torch.tensor([50, 2, 31])
    by_clip = _statistics(logs, frames)
    by_mask = _statistics(logs, frames, masked=True)
    torch.testing.assert_close(by_mask, by_clip, atol=1e-5, rtol=1e-5)


def test_a_clip_that_stays_the_same_is_called_unsteady() -> None:
    _, unsteady = LogMel(160, CPU)(
        torch.stack([torch.zeros(3_200), sound(3_200, 0)]), torch.tensor([3_200] * 2)
    )
    assert unsteady.tolist() == [True, False]
