"""Encodes a clip with the reference, to measure how far others agree: bf16, another codec, a dataset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pipeline.codec.native import NativeCodec
from pipeline.codec.protocol import Codec


def encode_alone(codec: Codec, waveform: Tensor) -> np.ndarray:
    """Encode one float32 waveform (samples,) on its own, in float32, to uint16 (codes,).

    Uses the unmodified transformers model where the codec has one, whatever precision the codec runs in.
    """
    if isinstance(codec, NativeCodec):
        return codec.reference.encode(waveform)
    return codec.encode(waveform[None], torch.tensor([len(waveform)]))[0]


def agreeing(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> tuple[int, int]:
    """Return how many codes are equal, and how many there are; what only one clip has counts as different."""
    equal = total = 0
    for a, b in zip(ours, theirs, strict=True):
        common = min(len(a), len(b))
        equal += int((a[:common] == b[:common]).sum())
        total += max(len(a), len(b))
    return equal, total
