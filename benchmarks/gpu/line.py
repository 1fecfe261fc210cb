"""What a line of the check is, and what all of them share."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.encode import full_size, sounds
from pipeline.__main__ import main
from pipeline.codec import checkpoint
from pipeline.codec.loading import XCODEC2, load_extractor, load_model
from pipeline.codec.native import Identity, NativeCodec

ROOT = Path(__file__).parents[2]
SMALL_CODEC = "data/sample/codec-random"


@dataclass(frozen=True)
class Verdict:
    """What a line found. `passed` is None where it does not apply to this machine."""

    passed: bool | None
    words: str
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Bench:
    """The machine under test; `dry` does everything on the CPU with small models and few clips."""

    device: torch.device
    folder: Path  # for what the lines write
    dry: bool

    @cached_property
    def model(self) -> tuple[Any, Any]:
        """A random XCodec2 and its feature extractor, full-size unless dry."""
        if not self.dry:
            return full_size(self.device)
        from transformers import Xcodec2FeatureExtractor, Xcodec2Model

        found = checkpoint.find(SMALL_CODEC)
        return load_model(found, Xcodec2Model), load_extractor(found, Xcodec2FeatureExtractor)

    def codec(self, *, half: bool, compiled: bool = False) -> NativeCodec:
        """The codec on whole batches, as on a GPU."""
        kind = torch.bfloat16 if half else None
        identity = Identity("gpu-check", "unknown", "0")
        return NativeCodec(*self.model, XCODEC2, identity, half=kind, whole_batches=True, compiled=compiled)

    @cached_property
    def codec_folder(self) -> str:
        """The same model as files, for the command line; dry: a codec without a model."""
        if self.dry:
            return "fake:"
        folder = self.folder / "codec"
        for part in self.model:
            part.save_pretrained(folder)
        return str(folder)

    def clips(self, seconds: float) -> list[Tensor]:
        """Float32 clips (samples,) in CPU memory, together about `seconds` long."""
        return list(sounds(seconds))

    def synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def padded(clips: list[Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    """A batch as the loader gives it: zero-padded, with its lengths, pinned for CUDA."""
    batch = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
    lengths = torch.tensor([len(clip) for clip in clips])
    return (batch.pin_memory(), lengths.pin_memory()) if device.type == "cuda" else (batch, lengths)


def run(arguments: list[str]) -> None:
    """Run Python with `arguments` from the repository's root. Raises RuntimeError if it fails."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])


def create_here(arguments: list[str]) -> None:
    """Do what `create_dataset.py` does with `arguments`, in this process, quietly."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
            status = main(["create", *arguments])
    finally:
        signal.signal(signal.SIGTERM, before)
    if status:
        raise RuntimeError(said.getvalue().strip().splitlines()[-1])


Line = Callable[[Bench], Verdict]
