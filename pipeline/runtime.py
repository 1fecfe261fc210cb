"""What this machine offers: the repository's files, cache folders, compilers and devices.

Importing this module loads nothing heavy.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UsageError

if TYPE_CHECKING:
    import torch

_PACKAGE = Path(__file__).resolve().parent
_SHARED = _PACKAGE / "shared"  # what a wheel brings along of configs/ and data/sample/ (pyproject.toml)
REPOSITORY = _SHARED if _SHARED.is_dir() else _PACKAGE.parent
COMPILERS = ("g++", "c++", "clang++")


def find_file(name: str) -> Path | None:
    """Find a file or folder here or below the repository's root; None if neither has it."""
    candidates = (Path(name).expanduser(), REPOSITORY / name)
    return next((path for path in candidates if path.exists()), None)


def cache_folder(name: str = "") -> Path:
    """Return `$XDG_CACHE_HOME/llasa-dataset/name`, made if it is missing."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base, "llasa-dataset", name)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def keep_compiled_code() -> None:
    """Let `torch.compile` and Triton cache in the cache folder; their default is in /tmp."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder("inductor")))
    os.environ.setdefault("TRITON_CACHE_DIR", str(cache_folder("triton")))


def cpp_compiler() -> str | None:
    """Return the path of a C++ compiler: `$CXX`, else the first of COMPILERS; None if there is none."""
    named = os.environ.get("CXX")
    found = (shutil.which(name) for name in ([named] if named else COMPILERS))
    return next((path for path in found if path), None)


def pick_device(name: str) -> torch.device:
    """Turn `auto`, `cpu`, `cuda` or `cuda:N` into a device. Raises UsageError if it is not there."""
    import torch

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


@contextmanager
def quiet() -> Iterator[None]:
    """Hide transformers' progress bars and the Hub client's retry notices inside the block."""
    from transformers.utils import logging as transformers_logging

    hub, shown = logging.getLogger("huggingface_hub"), transformers_logging.is_progress_bar_enabled()
    before = hub.level
    hub.setLevel(logging.ERROR)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        hub.setLevel(before)
        if shown:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
