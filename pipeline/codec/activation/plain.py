"""The anti-aliased SnakeBeta activation on padded batches: up-sample by 2, snake, down-sample by 2.

Knows each clip's length: every clip comes out as it would alone, with zeros past its end. Knows nothing of
the layers around it. This is the plain path, in the library's own passes; cpu_activation.py and
triton_activation.py do the same in one.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pipeline.codec.masking import hold_past, zero_past

Activation = Callable[[Any, Tensor, Tensor], Tensor]
"""(the activation module of the model, values (clips, channels, time), lengths int64 (clips,)) → values."""

TAPS = 12  # of either filter


def plain(module: Any, values: Tensor, lengths: Tensor) -> Tensor:
    """The library's own passes, with each clip's last value held past its end before each filter."""
    raised = module.act(module.upsample(hold_past(values, lengths)))
    return zero_past(module.downsample(hold_past(raised, 2 * lengths)), lengths)


def fastest_activation(device: torch.device) -> Activation:
    """The one-pass kernel for `device` where it can be had, else the plain path."""
    if device.type == "cuda" and importlib.util.find_spec("triton") is not None:
        from pipeline.codec.activation.triton import fused

        return fused
    if device.type == "cpu":
        from pipeline.codec.activation.cpu import build

        return build() or plain
    return plain


@torch.no_grad()
def snake_parameters(module: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What the fused paths read, float32: alpha and scale (channels,), the taps up (times 2) and down (12,).

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
