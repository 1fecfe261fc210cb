"""Tells speech from everything else, frame by frame as audio comes in: Silero's detector.

The package silero-vad runs its network one frame of 32 ms at a time. This is the same network (version 6, for
16 kHz) on its own weights, with all frames of a block in one pass, which is 30 times as fast.
"""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import MissingPackage

RATE = 16_000  # Hz
FRAME, CONTEXT = 512, 64  # samples of a frame, and of the one before that are seen with it
PAD, STRIDE, BINS = 64, 128, 129  # of the spectrum inside a frame
HIDDEN = 128
LAYERS = ((BINS, 128, 1), (128, 64, 2), (64, 64, 2), (64, HIDDEN, 1))  # channels in and out, stride
FILE = "silero_vad.jit"  # the package's safetensors hold an older network
OURS = "_model."  # in it; the other one is for 8 kHz


class Network(nn.Module):
    """Frames of (n, CONTEXT + FRAME) samples to n probabilities; the state of the LSTM goes in and out."""

    def __init__(self) -> None:
        super().__init__()
        self.basis = nn.Buffer(torch.empty(2 * BINS, 1, 2 * STRIDE))
        self.layers = nn.ModuleList(
            nn.Conv1d(before, after, 3, stride=stride, padding=1) for before, after, stride in LAYERS
        )
        self.lstm = nn.LSTM(HIDDEN, HIDDEN)
        self.head = nn.Conv1d(HIDDEN, 1, 1)

    def forward(self, frames: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """See the class."""
        padded = nn.functional.pad(frames, (0, PAD), mode="reflect")
        spectrum = nn.functional.conv1d(padded[:, None], self.basis, stride=STRIDE)
        values = torch.hypot(spectrum[:, :BINS], spectrum[:, BINS:])
        for layer in self.layers:
            values = torch.relu(layer(values))
        hidden, state = self.lstm(values.transpose(1, 2).reshape(len(frames), HIDDEN), state)
        return torch.sigmoid(self.head(torch.relu(hidden)[:, :, None])).flatten(), state


class SpeechDetector:
    """The detector of one recording: it remembers what came before. MIT licence, weights in the package."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._state = (torch.zeros(1, HIDDEN), torch.zeros(1, HIDDEN))
        self._held = np.zeros(CONTEXT, np.float32)  # context, and samples that make no whole frame yet

    @torch.inference_mode()
    def probabilities(self, block: np.ndarray, last: bool = False) -> np.ndarray:
        """Return the probability of speech, float32, in each frame that `block`, float32 (n,), completes.

        With `last`, zeros complete the frame that is left over.
        """
        held = np.concatenate([self._held, block])
        if last:
            held = np.pad(held, (0, -(len(held) - CONTEXT) % FRAME))
        whole = (len(held) - CONTEXT) // FRAME
        self._held = held[whole * FRAME :]
        if not whole:
            return np.zeros(0, np.float32)
        frames = torch.from_numpy(held).unfold(0, CONTEXT + FRAME, FRAME)
        found, self._state = self._network(frames, self._state)
        return np.asarray(found)


def load_network() -> Network:
    """Load the network, which detectors share. Raises MissingPackage."""
    found = importlib.util.find_spec("silero_vad")
    if found is None or found.origin is None:
        raise MissingPackage("silero-vad", "segment", "finding speech")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript, which torch gives up
        stored = torch.jit.load(Path(found.origin).with_name("data") / FILE)  # type: ignore[no-untyped-call]
    values = {name.removeprefix(OURS): value for name, value in stored.state_dict().items()}
    network = Network()
    network.load_state_dict({name: values[_stored(name)] for name in network.state_dict()})
    return network.eval()


def _stored(name: str) -> str:
    """Return what the package's file calls a parameter of `Network`: `layers.2.bias`, `lstm.weight_ih_l0`."""
    part, _, rest = name.partition(".")
    if part == "layers":
        number, _, kind = rest.partition(".")
        return f"encoder.{number}.reparam_conv.{kind}"
    if part == "lstm":
        return f"decoder.rnn.{rest.removesuffix('_l0')}"
    return f"decoder.decoder.2.{rest}" if part == "head" else "stft.forward_basis_buffer"
