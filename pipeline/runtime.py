"""Which device the user's word means. The one place that asks torch for it."""

from __future__ import annotations

import torch

from pipeline.errors import UsageError


def pick_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` to a device. UsageError when it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"no device {name!r}: give auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"no device {name}: this machine shows {torch.cuda.device_count()} CUDA GPUs; try --device auto"
        )
    return device
