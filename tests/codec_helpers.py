"""Small random codecs and sounds for the codec's tests."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import (
    NeuCodecConfig,
    NeuCodecFeatureExtractor,
    NeuCodecModel,
    Wav2Vec2BertConfig,
    Xcodec2FeatureExtractor,
    Xcodec2Model,
)

from pipeline.codec.loading import NEUCODEC, XCODEC2
from pipeline.codec.native import Identity, NativeCodec

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data" / "sample" / "codec-random"
sys.path.insert(0, str(ROOT / "tools"))

import make_random_codec as maker  # noqa: E402


@cache
def xcodec2() -> tuple[Any, Any]:
    """The sample codec's model and feature extractor."""
    model = Xcodec2Model.from_pretrained(SAMPLE).eval().requires_grad_(False)
    return model, Xcodec2FeatureExtractor.from_pretrained(SAMPLE)


@cache
def neucodec() -> tuple[Any, Any]:
    """A NeuCodec of the sample codec's size, with random weights."""
    config = NeuCodecConfig(**maker.SIZES, semantic_model_config=Wav2Vec2BertConfig(**maker.SEMANTIC))
    model, extractor = maker.random_model(NeuCodecModel, config), NeuCodecFeatureExtractor()
    with torch.no_grad():
        maker.spread_codes(model, extractor)
    return model.requires_grad_(False), extractor


@cache
def codec(family: str, *, whole_batches: bool = False) -> NativeCodec:
    """The codec of a family, with clips one by one or whole padded batches."""
    model, extractor = {"xcodec2": xcodec2, "neucodec": neucodec}[family]()
    kind = {"xcodec2": XCODEC2, "neucodec": NEUCODEC}[family]
    return NativeCodec(model, extractor, kind, Identity(family, "unknown", "0"), whole_batches=whole_batches)


def sound(samples: int, seed: int) -> Tensor:
    """Float32 (samples,): speech-like, from silence to full scale by seed."""
    made = maker.speechlike((samples + 1) / 16_000, seed)[:samples]
    return made * 10.0 ** -(seed % 4)


def padded(clips: list[Tensor], extra: int = 0) -> tuple[Tensor, Tensor]:
    """A batch and its lengths, with `extra` samples of padding past the longest clip."""
    lengths = torch.tensor([len(clip) for clip in clips])
    batch = torch.zeros(len(clips), int(lengths.max()) + extra)
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = clip
    return batch, lengths


def differences(ours: list[np.ndarray], theirs: list[np.ndarray]) -> int:
    """How many codes differ; clips of other lengths differ in all of them."""
    return sum(
        int((a != b).sum()) if len(a) == len(b) else max(len(a), len(b))
        for a, b in zip(ours, theirs, strict=True)
    )
