"""Maps the module names of the XCodec2 authors' layout to those of transformers' native model."""

from __future__ import annotations

import re

UNIT = ("snake1", "conv1", "snake2", "conv2")  # of a residual unit, in the authors' order
BLOCK = {"3": "snake1", "4": "conv1"}  # what follows a block's three units
ADAPTER = {
    "initial_conv": "conv1",
    "residual_blocks.1": "conv2",
    "residual_blocks.3": "conv3",
    "final_conv": "conv4",
}
LAYER = {
    "att.c_proj": "self_attn.o_proj",
    "att_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
PLACES = {
    "fc_prior": "fc_encoder",
    "fc_post_a": "acoustic_decoder.fc",
    "CodecEnc.conv_blocks.0": "acoustic_encoder.conv1",
    "CodecEnc.conv_final_block.0": "acoustic_encoder.snake1",
    "CodecEnc.conv_final_block.1": "acoustic_encoder.conv2",
    "generator.quantizer.project_in": "quantizer.project_in",
    "generator.quantizer.project_out": "quantizer.project_out",
    "generator.backbone.embed": "acoustic_decoder.embed",
    "generator.backbone.final_layer_norm": "acoustic_decoder.norm",
    "generator.head.out": "acoustic_decoder.head.linear",
}
JOINED = ".att.c_attn"  # query, key and value as one matrix; the native model has three


def place(stem: str) -> str | None:
    """Return the native name of the module that the authors call `stem`; None if there is none."""
    if stem in PLACES:
        return PLACES[stem]
    if stem.split(".")[0] == "semantic_model":
        return "semantic_encoder" + stem.removeprefix("semantic_model")
    if stem.startswith("SemanticEncoder_module."):
        name = ADAPTER.get(stem.removeprefix("SemanticEncoder_module."))
        return f"semantic_adapter.{name}" if name else None
    return _encoder_place(stem) or _decoder_place(stem)


def _encoder_place(stem: str) -> str | None:
    core, act = (stem.removesuffix(".act"), ".act") if stem.endswith(".act") else (stem, "")
    if core in PLACES:
        return PLACES[core] + act
    unit = re.fullmatch(r"CodecEnc\.conv_blocks\.(\d+)\.block\.([012])\.block\.([0123])", core)
    if unit:
        return (
            f"acoustic_encoder.block.{int(unit[1]) - 1}.res_unit{int(unit[2]) + 1}.{UNIT[int(unit[3])]}{act}"
        )
    end = re.fullmatch(r"CodecEnc\.conv_blocks\.(\d+)\.block\.([34])", core)
    return f"acoustic_encoder.block.{int(end[1]) - 1}.{BLOCK[end[2]]}{act}" if end else None


def _decoder_place(stem: str) -> str | None:
    layer = re.fullmatch(r"generator\.backbone\.transformers\.(\d+)(?:\.(.+))?", stem)
    if layer:
        inner = layer[2]
        if inner is not None and inner not in LAYER and not inner.startswith("mlp."):
            return None
        return f"acoustic_decoder.layers.{layer[1]}" + (f".{LAYER.get(inner, inner)}" if inner else "")
    net = re.fullmatch(r"generator\.backbone\.((?:prior|post)_net\.\d+\.(?:norm|conv)[12])", stem)
    return f"acoustic_decoder.{net[1]}" if net else None
