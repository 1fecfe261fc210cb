"""Turning the decode step into compiled code, and where that is kept.

Knows `torch.compile`; nothing of what is compiled.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UsageError

if TYPE_CHECKING:
    import torch

    from pipeline.llasa.decoder import Step

# batch sizes × windows × ways of sampling; dynamo's own limit of 8 would leave later ones uncompiled
VARIANTS = 128
COMPILERS = ("g++", "clang++", "c++")


def as_it_is(step: Step) -> Step:
    """The step, not compiled."""
    return step


def compiled(step: Step, *, device: torch.device, backend: str | None = None) -> Step:
    """The step compiled whole, with fixed shapes; on CUDA replayed as a graph.

    The first call with a batch size, window and way of sampling compiles it; later ones, and later processes,
    find it in `cache_folder()`. UsageError on a CPU without a C++ compiler.
    """
    import torch

    if device.type == "cpu" and backend is None and not has_cpp_compiler():
        raise UsageError(
            "--compile on a CPU needs a C++ compiler: apt-get install g++, or leave --compile out"
        )
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder()))
    dynamo = torch._dynamo.config
    dynamo.recompile_limit = max(dynamo.recompile_limit, VARIANTS)
    dynamo.accumulated_recompile_limit = max(dynamo.accumulated_recompile_limit, VARIANTS)
    mode = "reduce-overhead" if device.type == "cuda" and backend is None else None
    return torch.compile(step, fullgraph=True, dynamic=False, mode=mode, backend=backend or "inductor")


def cache_folder() -> Path:
    """Where compiled code is kept: TORCHINDUCTOR_CACHE_DIR, or a folder of the user's cache."""
    chosen = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "llasa-dataset" / "inductor"


def has_cpp_compiler() -> bool:
    """Whether code for a CPU can be compiled here."""
    named = os.environ.get("CXX")
    return any(shutil.which(name) for name in ([named] if named else COMPILERS))
