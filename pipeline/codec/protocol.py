"""What the rest of the pipeline may ask of a codec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pipeline.codec.shapes import Shape


class Pending(Protocol):
    """An encoding under way on the device."""

    def result(self) -> list[np.ndarray]:
        """Wait, then return a uint16 array a clip, of shape (samples // hop_length + extra_codes,)."""
        ...


@dataclass(frozen=True)
class Done:
    """A `Pending` whose codes are there."""

    codes: list[np.ndarray]

    def result(self) -> list[np.ndarray]:
        """Return one uint16 array a clip."""
        return self.codes


class Codec(Protocol):
    """Encodes batches of waveforms: in fp32, each clip gets exactly the codes that it gets alone."""

    name: str  # what the user asked for: a Hugging Face id or a folder's name
    licence: str  # of the weights, as an SPDX id or "unknown"
    fingerprint: str  # of weights and configuration; changes when codes may change
    sample_rate: int  # Hz
    hop_length: int  # samples a code
    precision: str  # of the encoders: fp32, which is exact, or bf16, fp16
    extra_codes: int  # n samples have n // hop_length + extra_codes codes: 1, and 0 for NeuCodec
    codebook_size: int
    output_sample_rate: int  # Hz of what `decode` makes: 24,000 for NeuCodec

    def launch(self, waveforms: Tensor, lengths: Tensor) -> Pending:
        """Start encoding and return without waiting.

        `waveforms`: float32 (clips, samples), zero-padded at the end, in CPU memory (pinned on CUDA).
        `lengths`: int64 (clips,), samples of each clip, at least 1.
        """
        ...

    def encode(self, waveforms: Tensor, lengths: Tensor) -> list[np.ndarray]:
        """Return `launch(waveforms, lengths).result()`."""
        return self.launch(waveforms, lengths).result()

    def decode(self, codes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Decode each clip's codes to its waveform: float32 (samples,) at `output_sample_rate`.

        There are `hop_length * output_sample_rate // sample_rate` samples a code.
        """
        ...

    def expect(self, shapes: Sequence[Shape], seconds: float) -> None:
        """Prepare for batches that are planned with `shapes`, of about `seconds` of audio in all.

        May be called again as more of the corpus is known: with other shapes, or more audio.
        """
        return

    def shrink(self) -> bool:
        """Use half the memory a batch from now on; False if that cannot be had."""
        return False

    def report(self) -> str:
        """Return in words what was chosen for speed and what it cost; empty if there is nothing to say."""
        return ""
