"""What a device could do at most, and how much memory a round of work took."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode


def operations(work: Callable[[], object]) -> float:
    """Floating-point operations of a call, as PyTorch counts them: two a multiply-add."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def matrix_rate(device: torch.device, half: torch.dtype | None) -> float:
    """Operations a second of a large matrix product in the type that the codec runs in."""
    size = 8192 if device.type == "cuda" else 1536
    matrix = torch.randn(size, size, device=device, dtype=half or torch.float32)
    best = float("inf")
    for _ in range(6):
        synchronise(device)
        started = time.perf_counter()
        matrix @ matrix
        synchronise(device)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        Path("/proc/self/clear_refs").write_text("5")


def peak(device: torch.device) -> int:
    """Bytes: allocated on the GPU, or resident in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
