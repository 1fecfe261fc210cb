"""Prepares a model for `torch.compile`: a cache that survives restarts, and nothing left to compute once."""

from __future__ import annotations

from typing import Any

import torch

from pipeline.codec.activation.parameters import snake_parameters
from pipeline.runtime import keep_compiled_code

VARIANTS = 128  # of a graph: more than there are shapes, see shapes.py


def prepare(model: Any) -> None:
    """Choose caches, allow a variant a shape, and compute what activations keep, outside any graph."""
    keep_compiled_code()
    dynamo = torch._dynamo.config  # at its own limit of 8, the next variant of a whole graph is an error
    dynamo.recompile_limit = max(dynamo.recompile_limit, VARIANTS)
    dynamo.accumulated_recompile_limit = max(dynamo.accumulated_recompile_limit, VARIANTS)
    for module in model.acoustic_encoder.modules():
        if hasattr(module, "upsample") and hasattr(module, "act"):
            snake_parameters(module)
