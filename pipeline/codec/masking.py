"""Masks by length: which part of a padded batch is a clip's own.

A clip encoded alone meets zeros past its end at every convolution and its own last value at every resampling
filter; a padded batch must look the same at every layer.
"""

from __future__ import annotations

import torch
from torch import Tensor


def valid(lengths: Tensor, size: int) -> Tensor:
    """Return a boolean mask (clips, size), true before each clip's length.

    `lengths`: int64 (clips,), on the result's device.
    """
    return torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]


def zero_past(values: Tensor, lengths: Tensor) -> Tensor:
    """Return `values` (clips, channels, time) with zeros past each clip's length."""
    return values.masked_fill(~valid(lengths, values.shape[-1])[:, None, :], 0.0)


def hold_past(values: Tensor, lengths: Tensor) -> Tensor:
    """Return `values` (clips, channels, time) with each clip's last own value repeated past its length."""
    last = (lengths - 1)[:, None, None].expand(-1, values.shape[1], 1)
    mask = valid(lengths, values.shape[-1])[:, None, :]
    return torch.where(mask, values, values.gather(-1, last))
