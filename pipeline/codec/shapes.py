"""Bounds the number of batch shapes, for what is chosen or compiled once a shape: algorithms, graphs.

Both sizes of a batch grow to the next step of a ladder whose steps are an eighth of a power of two, so at
most 12 % of either is padding. The rows that are added are clips of one sample.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def step_up(size: int) -> int:
    """Return the next step: 1 to 16, then 18, 20, … 32, 36, …, eight to each doubling."""
    width = max(1, 1 << (max(size - 1, 1).bit_length() - 4)) if size > 16 else 1
    return -(-size // width) * width


def widened(waveforms: Tensor, lengths: Tensor, hop: int) -> tuple[Tensor, Tensor]:
    """Pad `waveforms` (clips, samples) and `lengths` to the next steps, samples in units of `hop`."""
    clips, samples = waveforms.shape
    rows = step_up(clips) - clips
    columns = (
        (step_up(samples // hop + 1)) * hop - 1 - samples
    )  # one code more than whole hops, as codecs count
    return functional.pad(waveforms, (0, columns, 0, rows)), torch.cat([lengths, lengths.new_ones(rows)])
