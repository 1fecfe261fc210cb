"""A spectrogram as a picture."""

from __future__ import annotations

import numpy as np

SIZE = 512  # samples a transform
FLOOR = -80.0  # dB below the loudest, drawn darkest
# from dark to light, so that it reads in grey as well
COLOURS = np.array([[8, 6, 30], [70, 20, 110], [180, 50, 100], [250, 140, 50], [255, 250, 190]], np.float32)


def spectrogram(waveform: np.ndarray, width: int = 900) -> np.ndarray:
    """Turn float32 (samples,) into RGB, uint8 (257, up to `width`, 3), low frequencies at the bottom."""
    padded = np.pad(waveform, SIZE // 2)
    hop = max(SIZE // 4, -(-len(waveform) // width))
    starts = np.arange(0, max(1, len(padded) - SIZE + 1), hop)
    frames = np.stack([np.pad(padded[s : s + SIZE], (0, max(0, SIZE - len(padded[s:])))) for s in starts])
    power = np.abs(np.fft.rfft(frames * np.hanning(SIZE))) ** 2
    decibels = 10 * np.log10(np.maximum(power, 1e-12) / max(power.max(), 1e-12))
    level = np.clip(decibels / -FLOOR + 1, 0, 1).T[::-1]
    steps = np.linspace(0, 1, len(COLOURS))
    return np.stack([np.interp(level, steps, COLOURS[:, c]) for c in range(3)], -1).astype(np.uint8)
