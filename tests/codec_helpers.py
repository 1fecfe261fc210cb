"""Small random codecs, sounds, and the sample codec's weights in the layout of XCodec2's authors."""

from __future__ import annotations

import re
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


UNITS = {"snake1": 0, "conv1": 1, "snake2": 2, "conv2": 3}
AUTHORS = [  # native name → the authors' name
    (r"semantic_encoder\.(.*)", r"semantic_model.\1"),
    (r"semantic_adapter\.conv1\.(.*)", r"SemanticEncoder_module.initial_conv.\1"),
    (r"semantic_adapter\.conv2\.(.*)", r"SemanticEncoder_module.residual_blocks.1.\1"),
    (r"semantic_adapter\.conv3\.(.*)", r"SemanticEncoder_module.residual_blocks.3.\1"),
    (r"semantic_adapter\.conv4\.(.*)", r"SemanticEncoder_module.final_conv.\1"),
    (r"acoustic_encoder\.conv1\.(.*)", r"CodecEnc.conv_blocks.0.\1"),
    (r"acoustic_encoder\.snake1\.(.*)", r"CodecEnc.conv_final_block.0.\1"),
    (r"acoustic_encoder\.conv2\.(.*)", r"CodecEnc.conv_final_block.1.\1"),
    (r"fc_encoder\.(.*)", r"fc_prior.\1"),
    (r"acoustic_decoder\.fc\.(.*)", r"fc_post_a.\1"),
    (r"quantizer\.(.*)", r"generator.quantizer.\1"),
    (r"acoustic_decoder\.norm\.(.*)", r"generator.backbone.final_layer_norm.\1"),
    (r"acoustic_decoder\.head\.linear\.(.*)", r"generator.head.out.\1"),
    (
        r"acoustic_decoder\.layers\.(\d+)\.self_attn\.o_proj\.(.*)",
        r"generator.backbone.transformers.\1.att.c_proj.\2",
    ),
    (
        r"acoustic_decoder\.layers\.(\d+)\.input_layernorm\.(.*)",
        r"generator.backbone.transformers.\1.att_norm.\2",
    ),
    (
        r"acoustic_decoder\.layers\.(\d+)\.post_attention_layernorm\.(.*)",
        r"generator.backbone.transformers.\1.ffn_norm.\2",
    ),
    (r"acoustic_decoder\.layers\.(\d+)\.mlp\.(.*)", r"generator.backbone.transformers.\1.mlp.\2"),
    (r"acoustic_decoder\.(embed|prior_net|post_net)\.(.*)", r"generator.backbone.\1.\2"),
]


def in_authors_words(name: str) -> str:
    unit = re.fullmatch(r"acoustic_encoder\.block\.(\d+)\.res_unit(\d)\.(\w+)\.(.*)", name)
    if unit:
        block, place = int(unit[1]) + 1, int(unit[2]) - 1
        return f"CodecEnc.conv_blocks.{block}.block.{place}.block.{UNITS[unit[3]]}.{unit[4]}"
    end = re.fullmatch(r"acoustic_encoder\.block\.(\d+)\.(snake1|conv1)\.(.*)", name)
    if end:
        return f"CodecEnc.conv_blocks.{int(end[1]) + 1}.block.{3 if end[2] == 'snake1' else 4}.{end[3]}"
    return next(re.sub(native, theirs, name) for native, theirs in AUTHORS if re.fullmatch(native, name))


def authors_layout(magnitude: str, direction: str) -> dict[str, Tensor]:
    """The sample codec's tensors as the authors would publish them, with unread layers of w2v-BERT."""
    native = xcodec2()[0].state_dict()
    made: dict[str, Tensor] = {}
    for name, tensor in native.items():
        if ".self_attn.q_proj." in name and name.startswith("acoustic_decoder"):
            joined = torch.cat([native[name.replace("q_proj", f"{part}_proj")] for part in "qkv"])
            made[f"generator.backbone.transformers.{name.split('.')[2]}.att.c_attn.weight"] = joined
        elif not re.search(r"acoustic_decoder.*\.[kv]_proj\.", name):
            made[in_authors_words(name).replace(".act.beta", ".act.bias")] = tensor
    for name in [n for n in made if n.startswith("CodecEnc.") and n.endswith(".weight")]:
        weight = made.pop(name)
        stem = name.removesuffix("weight")
        made[stem + magnitude] = weight.flatten(1).norm(dim=1)[:, None, None]
        made[stem + direction] = 3.0 * weight
    made["CodecEnc.conv_blocks.1.block.0.block.0.upsample.filter"] = torch.zeros(1, 1, 12)
    for layer in range(2, 18):
        for name in [n for n in made if n.startswith("semantic_model.encoder.layers.0.")]:
            made[name.replace("layers.0.", f"layers.{layer}.")] = made[name].clone()
    return {name: tensor.contiguous().clone() for name, tensor in made.items()}
