"""Measures on a recording's waveform what can be wrong with it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

FRAME = 0.02  # seconds
QUIET = 40.0  # dB below the loudest frame: where the ends of a clip count as silent
CLIP_LEVEL, CLIP_RUN = 0.985, 4  # share of the peak, and samples in a row at it, that make a flat top
CLIPPED = 1e-3  # share of samples in flat tops from which a clip is clipped; clean speech has under 1e-4
NEARLY_SILENT = 0.15  # share of speech below which a clip is mostly something else
FAINT = -50.0  # dBFS, RMS
OFFSET = 0.02  # of full scale
NARROW = 4_400.0  # Hz: what telephone material, sampled at 8 kHz, reaches, with the slope of its filter
FLOOR = 50.0  # dB below the peak of the spectrum that still count as content

SpeechShare = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class AudioQuality:
    """Figures of one recording."""

    leading_silence: float  # seconds
    trailing_silence: float
    speech: float  # share of the time
    rms: float  # dBFS
    loudness: float  # LUFS, ITU-R BS.1770-4; RMS for clips of under 0.4 s, which it does not cover
    clipped: float  # share of samples in flat tops
    offset: float  # of full scale
    bandwidth: float  # Hz

    def faults(self) -> dict[str, tuple[float, float]]:
        """Return what is wrong, as reason: (score, figure); the score is 1 at the threshold."""
        found = {
            "clipped": (self.clipped / CLIPPED, self.clipped),
            "dc_offset": (abs(self.offset) / OFFSET, self.offset),
            "little_speech": (1 + NEARLY_SILENT - self.speech, self.speech),
            "faint": (1 + (FAINT - self.rms) / 20, self.rms),
        }
        return {reason: (score, figure) for reason, (score, figure) in found.items() if score > 1}

    @property
    def narrow(self) -> bool:
        """Whether it is telephone band, whatever its sample rate."""
        return self.bandwidth < NARROW


def measure(
    source: np.ndarray, rate: int, resampled: np.ndarray, resampled_rate: int, speech: SpeechShare
) -> AudioQuality:
    """Measure a waveform (samples,) as decoded, and at the codec's rate, which `speech` listens to."""
    levels = frame_levels(resampled, resampled_rate)
    loud = np.flatnonzero(levels > levels.max() - QUIET)
    return AudioQuality(
        leading_silence=float(loud[0] * FRAME),
        trailing_silence=float((len(levels) - 1 - loud[-1]) * FRAME),
        speech=speech(resampled),
        rms=_decibels(float(np.sqrt(np.mean(np.square(source, dtype=np.float64))))),
        loudness=loudness(source, rate),
        clipped=clipped_share(source),
        offset=float(source.mean(dtype=np.float64)),
        bandwidth=bandwidth(source, rate),
    )


def frame_levels(waveform: np.ndarray, rate: int) -> np.ndarray:
    """Return the RMS of each 20 ms in dBFS, (frames,), at least one."""
    size = max(round(FRAME * rate), 1)
    padded = np.pad(waveform, (0, -len(waveform) % size))
    power = np.mean(np.square(padded.reshape(-1, size), dtype=np.float64), axis=1)
    levels: np.ndarray = 10 * np.log10(power + 1e-12)
    return levels


def clipped_share(waveform: np.ndarray) -> float:
    """Return the share of samples in flat tops.

    A flat top is four samples in a row or more, of one sign, within 1.5 % of the peak.
    """
    peak = float(np.abs(waveform).max(initial=0.0))
    if peak == 0:
        return 0.0
    side = np.where(np.abs(waveform) >= CLIP_LEVEL * peak, np.sign(waveform), 0).astype(np.int8)
    ends = np.flatnonzero(np.append(side[1:] != side[:-1], True)) + 1
    sizes = np.diff(ends, prepend=0)
    flat = (side[ends - 1] != 0) & (sizes >= CLIP_RUN)
    return float(sizes[flat].sum() / len(waveform))


def bandwidth(waveform: np.ndarray, rate: int) -> float:
    """Return the highest frequency, Hz, where the average spectrum is less than 50 dB below its peak."""
    size = 1024
    padded = np.pad(waveform, (0, max(size - len(waveform), 0)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 2]
    spectrum = np.mean(np.square(np.abs(np.fft.rfft(frames * np.hanning(size)))), axis=0)
    content = np.flatnonzero(spectrum > spectrum.max() * 10 ** (-FLOOR / 10))
    return float(content[-1] * rate / size) if len(content) else 0.0


def loudness(waveform: np.ndarray, rate: int) -> float:
    """Return the integrated loudness, LUFS."""
    import torch
    from torchaudio.functional import loudness as integrated

    if len(waveform) >= 0.4 * rate:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            measured = float(integrated(torch.from_numpy(waveform)[None], rate))
        if np.isfinite(measured):
            return measured
    return _decibels(float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))))


def speech_by_level(waveform: np.ndarray, rate: int = 16_000) -> float:
    """Return the share of frames within 30 dB of the loud ones and above -55 dBFS.

    The fallback if no speech detector is installed.
    """
    levels = frame_levels(waveform, rate)
    return float(np.mean((levels > np.percentile(levels, 95) - 30) & (levels > -55)))


def _decibels(value: float) -> float:
    return float(20 * np.log10(value + 1e-9))
