"""The anti-aliased SnakeBeta activation: up-sample by 2, snake, down-sample by 2.

Three ways compute it: plain PyTorch, C++ on a CPU, Triton on a GPU.
"""

from __future__ import annotations

import importlib.util

import torch

from pipeline.codec.activation.parameters import Activation
from pipeline.codec.activation.plain import plain


def fastest_activation(device: torch.device) -> Activation:
    """Return the one-pass kernel for `device` if there is one, else the plain path."""
    if device.type == "cuda" and importlib.util.find_spec("triton") is not None:
        from pipeline.codec.activation.triton import fused

        return fused
    if device.type == "cpu":
        from pipeline.codec.activation.cpu import build

        return build() or plain
    return plain
