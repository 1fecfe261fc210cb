"""Tells out-of-memory errors from other failures, so that a batch can be split and tried again."""

from __future__ import annotations

_CPU_ALLOCATOR = ("DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` says that a device, or the host, had no memory left for a tensor."""
    import torch  # here: this package's import must stay light

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _CPU_ALLOCATOR)
