"""Prepares a model for `torch.compile`: a cache that survives restarts, and nothing left to compute once."""

from __future__ import annotations

from typing import Any

import torch

from pipeline.codec.activation.parameters import snake_parameters
from pipeline.runtime import keep_compiled_code


def prepare(model: Any) -> None:
    """Choose caches, let cuDNN try its algorithms, and compute what activations keep, outside any graph."""
    keep_compiled_code()
    torch.backends.cudnn.benchmark = True  # shapes are few: see shapes.py
    for module in model.acoustic_encoder.modules():
        if hasattr(module, "upsample") and hasattr(module, "act"):
            snake_parameters(module)
