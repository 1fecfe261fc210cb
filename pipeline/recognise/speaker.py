"""Speaker embeddings by Resemblyzer's weights, read without its package's other dependencies.

The network is the GE2E encoder of Wan et al. 2018 (https://arxiv.org/abs/1710.10467) in the sizes that the
weights have. Weak: two different readers score about 0.78, so only large changes mean something.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch
import torchaudio
from torch import Tensor, nn

from pipeline.errors import UsageError

RATE, WINDOW, HOP, MELS = (
    16_000,
    400,
    160,
    40,
)  # Hz, samples, samples, bands: what the weights were trained on
HIDDEN, LAYERS = 256, 3
SIZE = HIDDEN  # values of an embedding
PARTIAL, STEP = 160, 80  # mel frames a partial utterance has, and from one to the next


class SpeakerEncoder(nn.Module):
    """Waveforms at 16 kHz to unit vectors. `weights`: Resemblyzer's `pretrained.pt`."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.lstm = nn.LSTM(MELS, HIDDEN, LAYERS, batch_first=True)
        self.linear = nn.Linear(HIDDEN, HIDDEN)
        state = torch.load(weights, map_location="cpu", weights_only=True)["model_state"]
        wanted = self.state_dict()
        self.load_state_dict({name: state[name] for name in wanted})
        self.train(mode=False)
        self._mel = torchaudio.transforms.MelSpectrogram(
            RATE, WINDOW, WINDOW, HOP, n_mels=MELS, norm="slaney", mel_scale="slaney", pad_mode="constant"
        )

    @torch.inference_mode()
    def embed(self, waveform: np.ndarray) -> np.ndarray:
        """Turn float32 (samples,) into a unit vector, float32 (256,).

        It is the mean over partial utterances.
        """
        frames = self._mel(torch.from_numpy(waveform)).T
        frames = nn.functional.pad(frames, (0, 0, 0, max(PARTIAL - len(frames), 0)))
        partials = torch.stack(
            [frames[first : first + PARTIAL] for first in range(0, len(frames) - PARTIAL + 1, STEP)]
        )
        return _unit(self._embed(partials).mean(dim=0)).numpy()

    def _embed(self, partials: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(partials)
        return _unit(torch.relu(self.linear(hidden[-1])))


def _unit(vectors: Tensor) -> Tensor:
    unit: Tensor = vectors / vectors.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    return unit


def load_speaker_encoder(purpose: str) -> SpeakerEncoder:
    """Load Resemblyzer's weights. Raises UsageError, which names the `purpose`, if they are not there."""
    found = importlib.util.find_spec("resemblyzer")
    if found is None or found.origin is None:
        raise UsageError(f"{purpose} needs Resemblyzer's weights: pip install --no-deps Resemblyzer==0.1.4")
    return SpeakerEncoder(Path(found.origin).with_name("pretrained.pt"))
