"""Writes the codec's decoder as an ONNX file: codes in, waveform out, for a CPU, CUDA or TensorRT.

ONNX has no complex numbers, so the head's inverse STFT is written as real arithmetic: the inverse Fourier
transform of a frame is two matrix products, and frames are added where they overlap by a transposed
convolution with a unit kernel. All else is the model's own code.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.codec.native import NativeCodec
from pipeline.errors import MissingPackage, PipelineError, UsageError

TOLERANCE = 1e-3  # of full scale, between ONNX Runtime's waveform and PyTorch's
OPSET = 18
PROBE_CODES = (60, 133)  # lengths that are compared; neither is the one that is traced


class RealInverseStft(nn.Module):
    """The ISTFT head in real arithmetic: hidden states (clips, codes, hidden) to (clips, 1, samples)."""

    cosines: Tensor
    sines: Tensor
    overlap: Tensor
    squares: Tensor

    def __init__(self, head: Any) -> None:
        super().__init__()
        self.linear, self.hop, self.padding = head.linear, head.hop_length, head.padding
        size = head.n_fft
        window = head.window.double()
        # irfft: x[n] = 1/N Σ_k c_k (Re X[k] cos(2π k n / N) − Im X[k] sin(2π k n / N)), c_k = 1 for the first
        # and last bin and 2 between, for those stand for their mirrored bins as well
        angle = 2 * math.pi / size * torch.outer(torch.arange(size // 2 + 1), torch.arange(size)).double()
        weight = torch.full((size // 2 + 1, 1), 2.0, dtype=torch.float64)
        weight[0] = weight[-1] = 1.0
        self.register_buffer("cosines", (weight * angle.cos() * window / size).float())
        self.register_buffer("sines", (-weight * angle.sin() * window / size).float())
        self.register_buffer("overlap", torch.eye(size)[:, None])
        self.register_buffer("squares", window.square().float()[None, :, None])

    def forward(self, hidden: Tensor) -> Tensor:
        """Compute what the class says."""
        log_magnitude, phase = self.linear(hidden).float().chunk(2, dim=-1)
        magnitude = log_magnitude.exp().clamp(max=1e2)
        frames = (magnitude * phase.cos()) @ self.cosines + (magnitude * phase.sin()) @ self.sines
        audio = self._added(frames.transpose(1, 2))
        envelope = self._added(self.squares.expand(1, -1, hidden.shape[1]))
        return audio / envelope.clamp(min=1e-11)

    def _added(self, frames: Tensor) -> Tensor:
        """Add frames (clips, samples, frames) at their hops and cut the padding."""
        whole = functional.conv_transpose1d(frames, self.overlap, stride=self.hop)
        return whole[..., self.padding : whole.shape[-1] - self.padding]


class Decoder(nn.Module):
    """Codes, int64 (clips, codes), to waveforms, float32 (clips, samples)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, codes: Tensor) -> Tensor:
        """Compute what the class says."""
        waveforms: Tensor = self.model.decode(audio_codes=codes[:, None]).audio_values
        return waveforms[:, 0]


def export(codec: Any, path: Path) -> float:
    """Write the decoder of a codec on the CPU and return its largest difference from PyTorch's output.

    Raises UsageError for a codec that is not of transformers' classes, PipelineError if the difference is
    larger than TOLERANCE.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        _require(package)
    if not isinstance(codec, NativeCodec) or codec._model.acoustic_decoder is None:
        raise UsageError(
            f"the decoder of {codec.name} is not one of transformers' own: export the native codec"
        )
    model = codec._model
    path.parent.mkdir(parents=True, exist_ok=True)
    head = model.acoustic_decoder.head
    with torch.inference_mode():
        expected = [(codes, Decoder(model)(codes)) for codes in map(_random_codes(codec), PROBE_CODES)]
    model.acoustic_decoder.head = RealInverseStft(head)
    try:
        _write(Decoder(model), _random_codes(codec)(100), path)
    finally:
        model.acoustic_decoder.head = head
    apart = max(difference(path, codes, waveform) for codes, waveform in expected)
    if apart > TOLERANCE:
        raise PipelineError(f"{path} is {apart:.1e} from PyTorch's output, more than {TOLERANCE:g}")
    return apart


def difference(path: Path, codes: Tensor, expected: Tensor) -> float:
    """Return the largest difference between the file's waveform for these codes and the expected one."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    made: np.ndarray = session.run(None, {"codes": codes.numpy()})[0]
    if made.shape != tuple(expected.shape):
        raise PipelineError(f"{path} gives {made.shape} samples where PyTorch gives {tuple(expected.shape)}")
    return float(np.abs(made - expected.numpy()).max())


def _write(decoder: Decoder, example: Tensor, path: Path) -> None:
    clips, length = torch.export.Dim("clips"), torch.export.Dim("codes")
    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter and onnxscript warn about their own insides
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            decoder.eval(),
            (example.expand(2, -1),),
            path,
            input_names=["codes"],
            output_names=["waveform"],
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=({0: clips, 1: length},),
            external_data=False,
            verbose=False,
        )


def _random_codes(codec: NativeCodec) -> Callable[[int], Tensor]:
    generator = torch.Generator().manual_seed(0)
    return lambda length: torch.randint(0, codec.codebook_size, (1, length), generator=generator)


def _require(package: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise MissingPackage(package, "onnx", "export-onnx")
