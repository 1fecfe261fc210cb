"""Log-mel features of a padded batch, on the device: what the semantic encoder listens to.

Equal, within rounding, to what the feature extractors of XCodec2 and NeuCodec compute one clip at a time with
`torchaudio.compliance.kaldi.fbank`: 25 ms frames every 10 ms, mean removed, pre-emphasis 0.97, Povey window,
power spectrum, 80 triangular mel filters, log; then mean and variance of each filter over the clip; then two
frames to one vector. All in float32: call it outside any autocast region.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torchaudio.compliance.kaldi import get_mel_banks

from pipeline.codec.masking import valid

SAMPLE_RATE = 16_000  # Hz
FRAME = 400  # samples: 25 ms
SHIFT = 160  # samples: 10 ms
FFT = 512  # the next power of two
MELS = 80
STACK = 2  # frames to a feature vector: 50 vectors a second
PRE_EMPHASIS = 0.97
FULL_SCALE = 2.0**15  # Kaldi counts in 16-bit integers
LOWEST, HIGHEST = 20.0, 8000.0  # Hz
FLOOR = torch.finfo(torch.float32).eps  # of mel energies, before the log
VARIANCE_FLOOR = 1e-7
PADDING = 1.0  # what the extractors put past a clip's last frame
UNSTEADY = 1e-3  # variance below which normalising multiplies rounding errors until codes may change


class LogMel:
    """Computes features of batches, with its window and filters kept on one device.

    `pad_samples`: zeros put before and after each clip, in samples: 160 for XCodec2, 0 for NeuCodec.
    """

    def __init__(self, pad_samples: int, device: torch.device) -> None:
        self.pad_samples = pad_samples
        self._window = torch.hann_window(FRAME, periodic=False).pow(0.85).to(device)  # Povey's
        self._filters = _mel_filters().to(device)

    def num_frames(self, padded: Tensor) -> Tensor:
        """Return how many feature vectors clips padded to `padded` samples (int64, any shape) have."""
        frames = torch.div(padded + 2 * self.pad_samples - FRAME, SHIFT, rounding_mode="floor") + 1
        return torch.div(frames, STACK, rounding_mode="floor").clamp(min=0)

    def __call__(self, waveforms: Tensor, padded: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of a batch, and which clips' features are reliable under rounding.

        `waveforms`: float32 (clips, samples), zero past each clip's end; `padded`: int64 (clips,),
        each clip's length padded to whole codes, at most `samples`, at least one frame less the
        padding. The features are float32 (clips, vectors, 160), `PADDING` past each clip's own
        vectors; the second result is boolean (clips,).
        """
        logs = self._log_energies(functional.pad(waveforms, (self.pad_samples, self.pad_samples)))
        frames = self.num_frames(padded) * STACK
        mean, variance = _statistics(logs, frames, masked=logs.device.type != "cpu")  # no wait there
        normal = (logs - mean) / torch.sqrt(variance + VARIANCE_FLOOR)
        normal = torch.where(valid(frames, logs.shape[1])[..., None], normal, PADDING)
        whole = normal.shape[1] // STACK * STACK
        num_frames = normal[:, :whole].reshape(len(normal), -1, STACK * MELS)
        return num_frames, (variance < UNSTEADY).flatten(1).any(1)

    def _log_energies(self, waveforms: Tensor) -> Tensor:
        frames = (waveforms * FULL_SCALE).unfold(-1, FRAME, SHIFT)  # (clips, frames, FRAME), a view
        frames = frames - frames.mean(-1, keepdim=True)
        before = functional.pad(frames, (1, 0), mode="replicate")[..., :-1]
        spectrum = torch.fft.rfft((frames - PRE_EMPHASIS * before) * self._window, FFT)
        energies: Tensor = spectrum.abs().square() @ self._filters
        return energies.clamp(min=FLOOR).log()


def _statistics(logs: Tensor, frames: Tensor, *, masked: bool = False) -> tuple[Tensor, Tensor]:
    """Return mean and unbiased variance of each clip's own frames, both (clips, 1, MELS)."""
    if not masked:  # clip by clip: sums in the extractors' own order, so that fewer bits differ
        own = [clip[:count] for clip, count in zip(logs, frames.tolist(), strict=True)]
        return torch.stack([clip.mean(0) for clip in own])[:, None], torch.stack(
            [clip.var(0) for clip in own]
        )[:, None]
    mask = valid(frames, logs.shape[1])[..., None]
    count = frames[:, None, None]
    mean = torch.where(mask, logs, 0.0).sum(1, keepdim=True) / count
    return mean, torch.where(mask, logs - mean, 0.0).square().sum(1, keepdim=True) / (count - 1)


def _mel_filters() -> Tensor:
    """Return Kaldi's triangular filters, (FFT // 2 + 1, MELS); torchaudio's own, to the last bit."""
    filters, _ = get_mel_banks(MELS, FFT, SAMPLE_RATE, LOWEST, HIGHEST, 100.0, -500.0, 1.0)
    return functional.pad(filters, (0, 1)).T.contiguous()  # the Nyquist bin counts for nothing
