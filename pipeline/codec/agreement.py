"""A clip's codes from the reference, to measure how far others agree: bf16, another codec, a dataset.

Knows which codecs have a reference of their own. Counting by place or length is validate's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pipeline.codec.native import NativeCodec
from pipeline.codec.protocol import Codec


def encode_alone(codec: Codec, waveform: Tensor) -> np.ndarray:
    """Codes, uint16 (codes,), of one float32 waveform (samples,) on its own, in float32.

    By the unmodified transformers model where the codec has one, whatever precision the codec itself runs in.
    """
    if isinstance(codec, NativeCodec):
        return codec.reference.encode(waveform)
    return codec.encode(waveform[None], torch.tensor([len(waveform)]))[0]


def agreeing(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> tuple[int, int]:
    """How many codes are equal, and how many there are. What one clip has and the other lacks differs."""
    equal = total = 0
    for a, b in zip(ours, theirs, strict=True):
        common = min(len(a), len(b))
        equal += int((a[:common] == b[:common]).sum())
        total += max(len(a), len(b))
    return equal, total
