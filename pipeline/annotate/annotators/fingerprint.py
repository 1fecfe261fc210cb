"""A fingerprint of what a recording sounds like: the same at another level and from another codec.

The log-mel spectrogram of the sounding part, between telephone band's ends, is stretched to a fixed number
of frames; the signs of the lowest terms of its two-dimensional cosine transform are the bits. A level adds a
constant, which is the one term left out; what codecs change is in the high terms and in the quiet frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch

from pipeline.annotate.protocol import Column, Values
from pipeline.audio.decode import resample

RATE, WINDOW, HOP = 16_000, 512, 160  # Hz, samples, samples
BANDS, LOW, HIGH = 24, 150.0, 3_800.0  # mel bands, and the Hz between which they lie
RANGE = 5.0  # powers of ten below the loudest value that count
SOUNDING = 3.0  # powers of ten below the loudest frame: where the sounding part begins and ends
FRAMES = 64  # that it is stretched to
TERMS = (16, 8)  # of the transform that are taken: over the frames, over the bands
SIZE = TERMS[0] * TERMS[1] // 8  # bytes


class Fingerprint:
    """The bits, which `Copies` compares, and how long the sounding part is."""

    name = "fingerprint"
    version = 1
    settings: ClassVar[Mapping[str, Any]] = {"terms": list(TERMS), "frames": FRAMES, "bands": BANDS}
    columns: ClassVar[Mapping[str, Column]] = {
        "fingerprint": Column(pa.binary(SIZE), f"{SIZE * 8} bits of what the recording sounds like"),
        "fingerprint_seconds": Column(pa.float32(), "from the first sound to the last, s"),
    }

    def hear(self, waveform: np.ndarray, rate: int) -> Values:
        """See `ClipAnnotator.hear`."""
        levels = log_mel(resample(torch.from_numpy(waveform), rate, RATE))
        loud = torch.logsumexp(levels * np.log(10), dim=1) / np.log(10)
        sounding = torch.nonzero(loud > loud.max() - SOUNDING).flatten()
        part = levels[int(sounding[0]) : int(sounding[-1]) + 1]
        stretched = torch.nn.functional.interpolate(
            part.T[None], FRAMES, mode="linear", align_corners=False, antialias=False
        )[0].T
        terms = _cosines(FRAMES, TERMS[0], 1) @ stretched.double() @ _cosines(BANDS, TERMS[1], 0).T
        bits = np.packbits(terms.numpy().reshape(-1) > 0)
        return {"fingerprint": bits.tobytes(), "fingerprint_seconds": len(part) * HOP / RATE}


def log_mel(waveform: torch.Tensor) -> torch.Tensor:
    """Return log10 of the power in each band, float32 (frames, `BANDS`), from `RANGE` below the loudest."""
    padded = torch.nn.functional.pad(waveform, (WINDOW // 2, WINDOW // 2))
    frames = padded.unfold(0, WINDOW, HOP) * torch.hann_window(WINDOW)
    power = torch.fft.rfft(frames).abs().square() @ _filters()
    levels: torch.Tensor = (power / power.max().clamp(min=1e-20)).clamp(min=10**-RANGE).log10()
    return levels


@cache
def _filters() -> torch.Tensor:
    from torchaudio.functional import melscale_fbanks

    filters: torch.Tensor = melscale_fbanks(WINDOW // 2 + 1, LOW, HIGH, BANDS, RATE)
    return filters


@cache
def _cosines(size: int, terms: int, first: int) -> torch.Tensor:
    """Return the terms of the cosine transform from number `first` on, float64 (terms, size)."""
    number = torch.arange(first, first + terms, dtype=torch.float64)[:, None]
    return torch.cos(torch.pi * number * (torch.arange(size, dtype=torch.float64) + 0.5) / size)
