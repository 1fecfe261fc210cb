"""Training crops: the prompts as one long stream of waveform and log-mel features, cut at random.

Knows: variants (speed and alignment) that make 25 minutes go further. Does not know: models.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torchaudio
from torch import Tensor
from transformers import Xcodec2FeatureExtractor

from sample_models.codec import HOP
from sample_models.prompts import SAMPLE_RATE, Prompt

VARIANTS = ((1.0, 0), (0.96, 160))  # (speed, shift in samples)


@dataclass(frozen=True, slots=True)
class Stream:
    """`waveform`: (frames * 320,); `features`: (frames, 160); `channels`: (frames, channels) or not known.

    `channels` are the acoustic encoder's, kept once that encoder no longer changes.
    """

    waveform: Tensor
    features: Tensor
    channels: Tensor | None = None

    @property
    def frames(self) -> int:
        """Length in codes."""
        return len(self.features)


def prepare(waveform: np.ndarray, extractor: Xcodec2FeatureExtractor) -> tuple[Tensor, Tensor]:
    """Padded waveform (frames * 320,) and features (frames, 160) of one clip, as the codec is given them."""
    inputs = extractor(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt")
    features = inputs["input_features"][0]
    return inputs["input_values"][0, 0, : len(features) * HOP], features


def varied(waveform: np.ndarray, speed: float, shift: int) -> np.ndarray:
    """The clip at another speed, `shift` samples of silence before it."""
    if speed != 1.0:
        resampled = torchaudio.functional.resample(torch.from_numpy(waveform), round(100 * speed), 100)
        waveform = resampled.numpy()
    return np.pad(waveform, (shift, 0))


def stream(prompts: list[Prompt], extractor: Xcodec2FeatureExtractor) -> Stream:
    """Every variant of every prompt, end to end.

    Features are normalised over the whole clip, as in use; a crop's own mean would be another one.
    """
    waveforms, features = [], []
    for speed, shift in VARIANTS:
        for prompt in prompts:
            padded, pairs = prepare(varied(prompt.waveform, speed, shift), extractor)
            waveforms.append(padded)
            features.append(pairs)
    return Stream(torch.cat(waveforms), torch.cat(features))


@dataclass(frozen=True, slots=True)
class Crops:
    """(clips, frames * 320), (clips, frames, 160) and (clips, frames, channels) or nothing."""

    waveforms: Tensor
    features: Tensor
    channels: Tensor | None


def cut(source: Stream, count: int, frames: int, generator: torch.Generator, device: str) -> Crops:
    """`count` random crops of `frames` codes."""
    starts = torch.randint(source.frames - frames, (count,), generator=generator).tolist()
    waveforms = torch.stack([source.waveform[s * HOP : (s + frames) * HOP] for s in starts])
    features = torch.stack([source.features[s : s + frames] for s in starts])
    known = source.channels
    channels = None if known is None else torch.stack([known[s : s + frames] for s in starts]).to(device)
    return Crops(waveforms.to(device), features.to(device), channels)
