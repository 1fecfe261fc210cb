"""A codec without a model, for tests and simulations of everything around the codec.

Its codes depend on each frame's samples and on nothing else, so a mixed-up clip or frame shows in them. It
cannot decode.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from pipeline.codec.protocol import Codec, Done
from pipeline.errors import UsageError


@dataclass
class FakeCodec(Codec):
    """Sums each frame's samples into a code; `seconds_a_batch` makes it as slow as a real one."""

    name: str = "fake:"
    licence: str = "CC0-1.0"
    fingerprint: str = "fake"
    sample_rate: int = 16000
    hop_length: int = 320
    precision: str = "fp32"
    extra_codes: int = 1
    codebook_size: int = 65536
    output_sample_rate: int = 16000
    seconds_a_batch: float = 0.0

    @classmethod
    def named(cls, name: str) -> FakeCodec:
        """Return the codec of a name such as `fake:` or `fake:seconds_a_batch=0.01,precision=bf16`.

        Raises UsageError for a field that is none.
        """
        codec = cls(name)
        try:
            for option in filter(None, name.partition(":")[2].split(",")):
                field, _, value = option.partition("=")
                setattr(codec, field, type(getattr(codec, field))(value))
        except (AttributeError, ValueError) as error:
            raise UsageError(f"{name}: {error}; expected fake:FIELD=VALUE,…") from error
        return codec

    def launch(self, waveforms: Tensor, lengths: Tensor) -> Done:
        """See `Codec.launch`."""
        return Done(self.encode(waveforms, lengths))

    def encode(self, waveforms: Tensor, lengths: Tensor) -> list[np.ndarray]:
        """See `Codec.encode`."""
        if self.seconds_a_batch:
            time.sleep(self.seconds_a_batch)
        return [
            self._codes(waveform[:length])
            for waveform, length in zip(waveforms.numpy(), lengths.tolist(), strict=True)
        ]

    def _codes(self, waveform: np.ndarray) -> np.ndarray:
        frames = np.zeros((len(waveform) // self.hop_length + 1) * self.hop_length, np.float64)
        frames[: len(waveform)] = waveform
        weights = np.arange(1, self.hop_length + 1)
        sums = np.abs((frames.reshape(-1, self.hop_length) * weights).sum(axis=1) * 1000)
        codes: np.ndarray = (sums.astype(np.int64) % self.codebook_size).astype(np.uint16)
        return codes

    def decode(self, codes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Raise RuntimeError: there is no decoder."""
        raise RuntimeError("the fake codec cannot decode")
