"""What the three implementations of the activation share: their signature and a module's parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Activation = Callable[[Any, Tensor, Tensor], Tensor]
"""(the activation module of the model, values (clips, channels, time), lengths int64 (clips,)) → values."""

TAPS = 12  # of either filter


@torch.no_grad()
def snake_parameters(module: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return alpha and scale (channels,), and the taps up (times 2) and down (12,), all float32.

    SnakeBeta is u + scale * sin(alpha * u)^2. Computed once and kept on the module.
    """
    kept: tuple[Tensor, Tensor, Tensor, Tensor] | None = getattr(module, "_fused", None)
    if kept is None or kept[0].device != module.act.alpha.device:
        act = module.act
        scale = 1.0 / (act.beta.float().exp() + act.no_div_by_zero)
        up = (2.0 * module.upsample.filter.float()).flatten().contiguous()
        down = module.downsample.filter.float().flatten().contiguous()
        kept = act.alpha.float().exp(), scale, up, down
        module._fused = kept
    return kept
