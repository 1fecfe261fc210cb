"""Reads PyTorch's own files, whose pickles may hold tensors and plain values and nothing that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.pretrained.checks import check_sizes, opening

WHISPER_LARGEST = 20_000  # of any of its sizes; the largest, its vocabulary apart, is 5,120
WHISPER_VOCABULARY = 100_000


def read_torch_file(path: Path, what: str, hint: str) -> Any:
    """Read a `.pt` file on the CPU, its tensors mapped, not copied. Raises UsageError if it is none."""
    import torch

    with opening(what, hint):
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def check_whisper_file(path: Path) -> None:
    """Raise UsageError unless a file is a checkpoint that openai-whisper can build a model from."""
    what = f"the speech recogniser {path}"
    read = read_torch_file(path, what, "give --asr a Whisper checkpoint (tools/fetch_whisper.py gets one)")
    dims = read.get("dims") if isinstance(read, dict) else None
    if not isinstance(dims, dict) or not isinstance(read.get("model_state_dict"), dict):
        raise UsageError(f"{what} is not a Whisper checkpoint: get one with tools/fetch_whisper.py")
    check_sizes(dims, str(path))
    for name, size in dims.items():
        most = WHISPER_VOCABULARY if name == "n_vocab" else WHISPER_LARGEST
        if not isinstance(size, int) or not 0 < size <= most:
            raise UsageError(f"{what} asks for {name} = {size!r}: no Whisper model has that")
