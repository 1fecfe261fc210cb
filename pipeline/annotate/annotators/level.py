"""Level, silence, bandwidth and noise of recordings: what a sound engineer looks at first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from pipeline.annotate.protocol import Column, Values
from pipeline.audio.quality import FRAME, QUIET, bandwidth, clipped_share, frame_levels, loudness

LOUD, FAINT = 95, 5  # percentiles of the frames' levels that stand for speech and for what is below it


class Level:
    """Measured on the recording as it is, at its own sample rate."""

    name = "level"
    version = 2
    settings: ClassVar[Mapping[str, Any]] = {}
    columns: ClassVar[Mapping[str, Column]] = {
        "loudness": Column(pa.float32(), "integrated loudness, LUFS (ITU-R BS.1770-4; RMS below 0.4 s)"),
        "peak": Column(pa.float32(), "highest sample, dBFS"),
        "clipped": Column(pa.float32(), "samples in flat tops, share"),
        "dc_offset": Column(pa.float32(), "mean of the samples, of full scale"),
        "bandwidth": Column(pa.float32(), "highest frequency within 50 dB of the loudest, Hz"),
        "leading_silence": Column(pa.float32(), "time before the first frame within 40 dB of the loudest, s"),
        "trailing_silence": Column(pa.float32(), "time after the last such frame, s"),
        "edge": Column(
            pa.float32(), "first or last 20 ms, the louder, below the loud frames, dB; near 0: cut in a word"
        ),
        "snr": Column(pa.float32(), "loud frames (95th percentile) above faint ones (5th), dB"),
    }

    def hear(self, waveform: np.ndarray, rate: int) -> Values:
        """See `ClipAnnotator.hear`."""
        levels = frame_levels(waveform, rate)
        loud = np.flatnonzero(levels > levels.max() - QUIET)
        high, low = np.percentile(levels, [LOUD, FAINT])
        found = {
            "loudness": loudness(waveform, rate),
            "peak": 20 * np.log10(float(np.abs(waveform).max()) + 1e-9),
            "clipped": clipped_share(waveform),
            "dc_offset": waveform.mean(dtype=np.float64),
            "bandwidth": bandwidth(waveform, rate),
            "leading_silence": loud[0] * FRAME,
            "trailing_silence": (len(levels) - 1 - loud[-1]) * FRAME,
            "edge": max(levels[0], levels[-1]) - high,
            "snr": high - low,
        }
        return {name: round(float(value), 5) for name, value in found.items()}
