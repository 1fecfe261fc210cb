"""How far decoded audio is from its source: spectral distances that need no package beyond torch.

Both waveforms are float32 (samples,) at one rate. Smaller distances are better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.audio.spectrogram import log_mel

if TYPE_CHECKING:
    from torch import Tensor

MAX_LAG = 0.04  # seconds: a codec's delay; more would be another clip
FLOOR = -60.0  # dB below the loudest mel value of the source: what is lower is not heard beside it
RESOLUTIONS = ((512, 128), (1024, 256), (2048, 512))  # window and hop, samples: Yamamoto et al. 2020
MATCHED = 0.5  # correlation of mel movements from which audio is of its source; of another clip it is about 0


@dataclass(frozen=True)
class Fidelity:
    """Distances of one clip."""

    log_mel: float  # dB, mean absolute difference
    stft: float  # multi-resolution STFT loss: spectral convergence and log magnitude, dimensionless
    mel_correlation: float  # of both log-mel spectra about each band's mean: -1 to 1, larger is better
    lag: int  # samples by which the decoded audio is late

    @property
    def matched(self) -> bool:
        """Whether the decoded audio moves as its source does."""
        return self.mel_correlation >= MATCHED


def compare(source: np.ndarray, decoded: np.ndarray, rate: int) -> tuple[Fidelity, np.ndarray, np.ndarray]:
    """Align both, measure, and return them aligned and equally long."""
    import torch

    source, decoded, lag = align(source, decoded, rate)
    first, second = torch.from_numpy(source), torch.from_numpy(decoded)
    mel_first, mel_second = log_mel(first, rate), log_mel(second, rate)
    lowest = float(mel_first.max()) + FLOOR
    mel_first, mel_second = mel_first.clamp(min=lowest), mel_second.clamp(min=lowest)
    measured = Fidelity(
        log_mel=float((mel_first - mel_second).abs().mean()),
        stft=multi_resolution_stft(first, second),
        mel_correlation=_correlation(mel_first, mel_second),
        lag=lag,
    )
    return measured, source, decoded


def align(source: np.ndarray, decoded: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Shift by the lag, at most 40 ms, at which both correlate best in size, and cut to the common part."""
    length = min(len(source), len(decoded))
    size = 1 << (2 * length - 1).bit_length()
    spectrum = np.conj(np.fft.rfft(source[:length], size)) * np.fft.rfft(decoded[:length], size)
    correlation = np.abs(np.fft.irfft(spectrum, size))
    reach = min(round(MAX_LAG * rate), length // 2)
    lags = np.arange(-reach, reach + 1)
    lag = int(lags[np.argmax(correlation[lags])])
    late, early = decoded[max(lag, 0) :], source[max(-lag, 0) :]
    length = min(len(late), len(early))
    return np.ascontiguousarray(early[:length]), np.ascontiguousarray(late[:length]), lag


def multi_resolution_stft(source: Tensor, decoded: Tensor) -> float:
    """Average spectral convergence plus mean absolute log magnitude difference over three resolutions.

    Source: https://arxiv.org/abs/1910.11480, equations 4 to 6. 0 for equal waveforms.
    """
    losses = []
    for window, hop in RESOLUTIONS:
        first, second = (_magnitude(waveform, window, hop) for waveform in (source, decoded))
        convergence = (first - second).norm() / first.norm().clamp(min=1e-7)
        losses.append(float(convergence + (first.log() - second.log()).abs().mean()))
    return sum(losses) / len(losses)


def _magnitude(waveform: Tensor, window: int, hop: int) -> Tensor:
    import torch

    shape = torch.hann_window(window)
    spectrum = torch.stft(
        waveform, window, hop, window=shape, pad_mode="constant", return_complex=True, center=True
    )
    return spectrum.abs().clamp(min=1e-5)


def _correlation(first: Tensor, second: Tensor) -> float:
    centred = [mel - mel.mean(dim=1, keepdim=True) for mel in (first, second)]
    scale = centred[0].norm() * centred[1].norm()
    return float((centred[0] * centred[1]).sum() / scale.clamp(min=1e-7))
