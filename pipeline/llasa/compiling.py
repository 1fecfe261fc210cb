"""Compiles the decode step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import UsageError
from pipeline.runtime import cpp_compiler, keep_compiled_code

if TYPE_CHECKING:
    import torch

    from pipeline.llasa.decoder import Step

# batch sizes × windows × ways of sampling; dynamo's own limit of 8 would leave later ones uncompiled
VARIANTS = 128


def as_it_is(step: Step) -> Step:
    """Return the step uncompiled."""
    return step


def compiled(step: Step, *, device: torch.device, backend: str | None = None) -> Step:
    """Return the step compiled whole, with fixed shapes; on CUDA replayed as a graph.

    The first call with a batch size, window and way of sampling compiles it; later ones, and later
    processes, find it in the cache folder. Raises UsageError on a CPU without a C++ compiler.
    """
    import torch

    if device.type == "cpu" and backend is None and cpp_compiler() is None:
        raise UsageError(
            "--compile on a CPU needs a C++ compiler: apt-get install g++, or leave --compile out"
        )
    keep_compiled_code()
    dynamo = torch._dynamo.config
    dynamo.recompile_limit = max(dynamo.recompile_limit, VARIANTS)
    dynamo.accumulated_recompile_limit = max(dynamo.accumulated_recompile_limit, VARIANTS)
    mode = "reduce-overhead" if device.type == "cuda" and backend is None else None
    return torch.compile(step, fullgraph=True, dynamic=False, mode=mode, backend=backend or "inductor")
