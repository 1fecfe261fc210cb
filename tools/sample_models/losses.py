"""Distances between a waveform and its reconstruction, and the term that keeps every level in use.

Knows: short-time spectra at several resolutions. Does not know: models or quantisers beyond their levels.
"""

from functools import cache

import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor

RESOLUTIONS = ((64, 8), (128, 16), (256, 32), (512, 64), (1024, 80), (2048, 128))  # (n_fft, mel bands)
FLOOR = 1e-4  # relative to full scale: quieter is inaudible beside speech, and G.722's own noise


@cache
def _window(n_fft: int, device: str) -> Tensor:
    return torch.hann_window(n_fft, device=device)


@cache
def _bands(n_fft: int, bands: int, device: str) -> Tensor:
    """Triangular mel filters of unit sum, (n_fft / 2 + 1, bands)."""
    filters = torchaudio.functional.melscale_fbanks(n_fft // 2 + 1, 0.0, 8000.0, bands, 16_000)
    return (filters / filters.sum(0).clamp(min=1e-3)).to(device)


def magnitudes(waveforms: Tensor, n_fft: int) -> Tensor:
    """Magnitudes (clips, frames, n_fft / 2 + 1) in full-scale units; hop n_fft / 4."""
    window = _window(n_fft, str(waveforms.device))
    spectrum = torch.stft(waveforms, n_fft, n_fft // 4, window=window, return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()
    return (power + 1e-9).sqrt().transpose(1, 2) * (2 / n_fft)


def spectral_distance(audio: Tensor, target: Tensor) -> Tensor:
    """Mean over the resolutions of log-mel L1, log-magnitude L1 and compressed-magnitude L1.

    `audio`, `target`: (clips, samples) at 16 kHz. The logarithms weigh quiet consonants as much as loud
    vowels; the compressed magnitudes (power 0.5) keep the peaks, which carry the formants, in place.
    """
    total = audio.new_zeros(())
    for n_fft, bands in RESOLUTIONS:
        ours = magnitudes(audio, n_fft)
        with torch.no_grad():
            theirs = magnitudes(target, n_fft)
        mel = _bands(n_fft, bands, str(audio.device))
        total = total + _log_distance(ours @ mel, theirs @ mel)
        if n_fft >= 256:
            total = total + 0.5 * _log_distance(ours, theirs)
            total = total + 4 * F.l1_loss(ours.sqrt(), theirs.sqrt())
    return total / len(RESOLUTIONS)


def _log_distance(ours: Tensor, theirs: Tensor) -> Tensor:
    return F.l1_loss(ours.clamp(min=FLOOR).log(), theirs.clamp(min=FLOOR).log())


def level_imbalance(latents: Tensor, levels: int) -> Tensor:
    """How unevenly the levels of each dimension are used: 0 when all are used equally often.

    Kullback-Leibler divergence, in nats, of the softly counted levels from the uniform distribution.
    `latents`: (clips, frames, dimensions) in level units, where the levels are the integers from -levels / 2.
    """
    centres = torch.arange(levels, device=latents.device) - levels // 2
    share = torch.softmax(-4 * (latents[..., None] - centres).square(), dim=-1).mean(dim=(0, 1))
    return (share * (share.clamp(min=1e-6) * levels).log()).sum(-1).mean()
