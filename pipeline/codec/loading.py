"""Loads a codec: finds the checkpoint, picks implementation, device and precision, reads the weights.

Every failure that a user can mend is one sentence, said before anything heavy is done if that is possible.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from transformers import (
    NeuCodecFeatureExtractor,
    NeuCodecModel,
    Xcodec2FeatureExtractor,
    Xcodec2Model,
)

from pipeline.codec import checkpoint
from pipeline.codec.checkpoint import Checkpoint
from pipeline.codec.native import Family, Identity, NativeCodec
from pipeline.codec.original.package import OriginalCodec, load_original_package
from pipeline.codec.original.weights import load_original
from pipeline.codec.protocol import Codec
from pipeline.config import CodecSettings
from pipeline.errors import UsageError
from pipeline.pretrained import loading as pretrained
from pipeline.pretrained.checks import opening
from pipeline.runtime import pick_device, quiet

HINT = "give --codec a folder with config.json and model.safetensors, or a Hugging Face id"

XCODEC2 = Family(pad_samples=160, extra_codes=1, output_rate=16_000)
NEUCODEC = Family(pad_samples=0, extra_codes=0, output_rate=24_000)
CLASSES: dict[str, tuple[Any, Any, Family]] = {
    "xcodec2": (Xcodec2Model, Xcodec2FeatureExtractor, XCODEC2),
    "neucodec": (NeuCodecModel, NeuCodecFeatureExtractor, NEUCODEC),
}


def load(settings: CodecSettings, *, decoder: bool = True) -> Codec:
    """See `pipeline.codec.load_codec`."""
    device = pick_device(settings.device)
    with quiet():
        return _load(settings, device, decoder)


def _load(settings: CodecSettings, device: torch.device, decoder: bool) -> Codec:
    found = checkpoint.find(settings.name, settings.revision)
    identity = Identity(settings.name, settings.licence or found.licence(), found.fingerprint())
    if settings.impl == "original":
        return OriginalCodec(load_original_package(found), identity, device)
    model, extractor_class, family = load_native(found, settings.impl)
    model = model.to(device)
    if not decoder:
        model.acoustic_decoder = None
    extractor = load_extractor(found, extractor_class)
    half = half_precision(settings.bf16, device)
    if settings.compile and device.type != "cuda":
        warnings.warn("torch.compile is for CUDA; the codec runs uncompiled here, as fast", stacklevel=2)
    return NativeCodec(model, extractor, family, identity, half=half, compiled=settings.compile)


def load_native(found: Checkpoint, impl: str) -> tuple[Any, Any, Family]:
    """Return a checkpoint's native model, its feature extractor's class and its family.

    Raises UsageError if the checkpoint is of another kind than `impl`.
    """
    kind = found.kind
    wanted = {"native": ("xcodec2", "original"), "neucodec": ("neucodec",)}.get(impl, (*CLASSES, "original"))
    if kind not in wanted:
        raise UsageError(f"the checkpoint {found.name} is of kind {kind}; expected: {', '.join(wanted)}")
    if kind == "original":
        with opening(f"the codec {found.name}", HINT):
            return load_original(found), Xcodec2FeatureExtractor, XCODEC2
    model_class, extractor_class, family = CLASSES[kind]
    return load_model(found, model_class), extractor_class, family


def load_model(found: Checkpoint, model_class: Any) -> Any:
    """Load the model in float32, for inference.

    Raises UsageError, which names the first key too many, too few or of another shape.
    """
    what = f"the codec {found.name}"
    model = pretrained.load_model(model_class, found.folder, what, HINT, dtype=torch.float32)
    return model.eval().requires_grad_(False)


def load_extractor(found: Checkpoint, extractor_class: Any) -> Any:
    """Load the checkpoint's feature extractor; the default one if it brings none."""
    if not (found.folder / checkpoint.EXTRACTOR).is_file():
        return extractor_class()
    what = f"the feature extractor of the codec {found.name}"
    return pretrained.load_extractor(extractor_class, found.folder, what, HINT)


def half_precision(wanted: bool, device: torch.device) -> torch.dtype | None:
    """Return the type of the encoders if half precision is wanted, None for float32.

    It is bf16 where the device has instructions for it (on a CPU AVX512-BF16 or AMX); elsewhere fp16 on a
    GPU, and float32 with a notice on a CPU.
    """
    if not wanted:
        return None
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported():
        return torch.bfloat16
    warnings.warn("this processor has no bf16 instructions; the codec runs in float32 here", stacklevel=2)
    return None
