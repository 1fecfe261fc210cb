"""The anti-aliased activation on padded batches, in the library's own passes.

Every clip comes out as it would alone, with zeros past its end. `cpu` and `triton` compute the same in one
pass.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pipeline.codec.masking import hold_past, zero_past


def plain(module: Any, values: Tensor, lengths: Tensor) -> Tensor:
    """Run the library's own passes, with each clip's last value held past its end before each filter."""
    raised = module.act(module.upsample(hold_past(values, lengths)))
    return zero_past(module.downsample(hold_past(raised, 2 * lengths)), lengths)
