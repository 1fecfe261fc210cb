"""Discriminators that look at complex spectra, and the losses of training a decoder against them.

Knows: spectra at several resolutions. Does not know: codecs, data, schedules.
As in EnCodec (Défossez et al. 2022, section 3.4) and Vocos (Siuzdak 2023), much smaller.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

RESOLUTIONS = (1024, 512, 256)  # samples a window; its quarter is the hop
SLOPE = 0.1  # of the leaky activation


class SpectrumJudge(nn.Module):
    """Says of each patch of a complex spectrum how much it looks like a recording's."""

    def __init__(self, n_fft: int, channels: int) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        widths = (2, channels, channels, 2 * channels, 2 * channels)
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(narrow, wide, (3, 9), (1, 2), (1, 4))) for narrow, wide in pairwise(widths)
        )
        self.last = weight_norm(nn.Conv2d(widths[-1], 1, (3, 3), padding=(1, 1)))

    def forward(self, audio: Tensor) -> list[Tensor]:
        """Activations of each layer, the verdict last: each (clips, channels, frames, bands).

        `audio`: (clips, samples). Magnitudes are raised to the power of 0.3, or loud bins would hide others.
        """
        spectrum = torch.stft(
            audio, self.n_fft, self.n_fft // 4, window=self.window, normalized=True, return_complex=True
        )
        squared = spectrum.real.square() + spectrum.imag.square() + 1e-7
        scale = squared.pow(-0.35)
        hidden = torch.stack([spectrum.real * scale, spectrum.imag * scale], 1).transpose(2, 3)
        seen = []
        for layer in self.layers:
            hidden = F.leaky_relu(layer(hidden), SLOPE)
            seen.append(hidden)
        return [*seen, self.last(hidden)]


class Adversary(nn.Module):
    """A judge for each resolution."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.judges = nn.ModuleList(SpectrumJudge(n_fft, channels) for n_fft in RESOLUTIONS)

    def forward(self, audio: Tensor) -> list[list[Tensor]]:
        """What each judge sees, as `SpectrumJudge.forward` gives it."""
        return [judge(audio) for judge in self.judges]


def telling_apart(real: list[list[Tensor]], made: list[list[Tensor]]) -> Tensor:
    """Hinge loss of the judges: 0 once every patch is told apart with a margin of 1."""
    terms = [
        F.relu(1 - theirs[-1].float()).mean() + F.relu(1 + ours[-1].float()).mean()
        for theirs, ours in zip(real, made, strict=True)
    ]
    return torch.stack(terms).mean()


def deceiving(made: list[list[Tensor]]) -> Tensor:
    """Loss of the decoder: lower the more its audio is taken for a recording's."""
    return torch.stack([F.relu(1 - ours[-1].float()).mean() for ours in made]).mean()


def seen_alike(real: list[list[Tensor]], made: list[list[Tensor]]) -> Tensor:
    """Distance of what the judges see in both, relative to its size: a loss that knows what matters."""
    terms = [
        (ours.float() - theirs.float()).abs().mean() / theirs.float().abs().mean().clamp(min=1e-4)
        for a, b in zip(real, made, strict=True)
        for theirs, ours in zip(a[:-1], b[:-1], strict=True)
    ]
    return torch.stack(terms).mean()
