"""The anti-aliased SnakeBeta activation on padded batches: up-sample by 2, snake, down-sample by 2.

Knows each clip's length: every clip comes out as it would alone, with zeros past its end. Knows nothing of
the layers around it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from pipeline.codec.masking import hold_past, zero_past

Activation = Callable[[Any, Tensor, Tensor], Tensor]
"""(the activation module of the model, values (clips, channels, time), lengths int64 (clips,)) → values."""


def plain(module: Any, values: Tensor, lengths: Tensor) -> Tensor:
    """The library's own passes, with each clip's last value held past its end before each filter."""
    raised = module.act(module.upsample(hold_past(values, lengths)))
    return zero_past(module.downsample(hold_past(raised, 2 * lengths)), lengths)
