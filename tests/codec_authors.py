"""The sample codec's weights in the layout of XCodec2's authors."""

from __future__ import annotations

import re

import torch
from codec_helpers import xcodec2
from torch import Tensor

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
