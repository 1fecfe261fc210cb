"""The log-mel spectrogram of a waveform, in decibels and as a picture."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

MELS = 80
SHOWN = 70.0  # dB below the loudest that a picture shows
ANCHORS = np.array(  # a dark to bright scale that also reads in grey
    [(0, 0, 8), (58, 16, 106), (154, 44, 104), (229, 92, 48), (250, 176, 36), (252, 254, 190)], np.float64
)
PLACES = np.linspace(0, len(ANCHORS) - 1, 256)
PALETTE = (
    np.stack([np.interp(PLACES, range(len(ANCHORS)), band) for band in ANCHORS.T], 1).round().astype(np.uint8)
)


def log_mel(waveform: Tensor, rate: int) -> Tensor:
    """Return the mel spectrum in dB, float32 (80, frames), 25 ms windows every 10 ms."""
    mel: Tensor = _mel_transform(rate)(waveform)
    return 10 * mel.clamp(min=1e-10).log10()


def picture(waveform: np.ndarray, rate: int, width: int | None = None) -> np.ndarray:
    """Draw float32 (samples,) as uint8 (80, frames), low bands at the bottom; PALETTE has their RGB.

    With `width`, frames share columns where there are more, and the loudest shows.
    """
    import torch

    levels = log_mel(torch.from_numpy(waveform), rate).numpy()[::-1]
    shared = -(-levels.shape[1] // (width or levels.shape[1]))
    levels = np.maximum.reduceat(levels, np.arange(0, levels.shape[1], shared), axis=1)
    shown: np.ndarray = np.clip((levels - levels.max()) / SHOWN + 1, 0, 1) * 255
    return shown.astype(np.uint8)


@lru_cache(maxsize=4)
def _mel_transform(rate: int):  # type: ignore[no-untyped-def]
    import torchaudio

    window = round(0.025 * rate)
    size = 1 << (window - 1).bit_length()
    return torchaudio.transforms.MelSpectrogram(
        rate, n_fft=size, win_length=window, hop_length=round(0.01 * rate), n_mels=MELS, pad_mode="constant"
    )
