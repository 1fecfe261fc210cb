"""Reads checkpoints in the layout of XCodec2's authors into the native model: names, folded norms, sizes.

Their repository keeps `HKUSTAudio/xcodec2` and its fine-tunes so; transformers' own conversion is not needed.
Every tensor must find its place, and every place its tensor.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from transformers import Wav2Vec2BertConfig, Xcodec2Config, Xcodec2Model

from pipeline.codec.checkpoint import Checkpoint
from pipeline.codec.original.names import JOINED, place
from pipeline.errors import UsageError

SEMANTIC_LAYERS = 16  # XCodec2 listens to the output of w2v-BERT's sixteenth layer
RECOMPUTED = re.compile(r"(upsample\.filter|downsample\.lowpass\.filter|istft\.window)$")
NORMED = {  # weight-normed convolutions, under PyTorch's present and former names
    "parametrizations.weight.original0": "parametrizations.weight.original1",
    "weight_g": "weight_v",
}


def load_original(found: Checkpoint) -> Any:
    """Return the checkpoint as an `Xcodec2Model` in float32.

    Raises UsageError, which names a key too many or too few.
    """
    given = _read(found)
    try:
        config = config_of(given)
    except KeyError as error:
        raise UsageError(f"the codec {found.name} lacks the key {error.args[0]}") from error
    with torch.device("meta"):
        expected = {name: tensor.shape for name, tensor in Xcodec2Model(config).state_dict().items()}
    state = dict(native_tensors(given, found.name))
    for name in sorted(expected.keys() - state.keys()):
        raise UsageError(f"the codec {found.name} lacks the weights for {name}")
    for name in sorted(state.keys() - expected.keys()):
        raise UsageError(f"the codec {found.name} has weights for {name}, which the model has not")
    for name, shape in expected.items():
        if state[name].shape != shape:
            raise UsageError(
                f"the codec {found.name} has {tuple(state[name].shape)} for {name}, expected {tuple(shape)}"
            )
    return Xcodec2Model.from_pretrained(None, config=config, state_dict=state, dtype=torch.float32)


def native_tensors(given: Mapping[str, Tensor], codec: str) -> Iterator[tuple[str, Tensor]]:
    """Return native names and tensors for the authors' `given` ones.

    Raises UsageError, which names a key that has no place.
    """
    for key, tensor in _folded(given, codec).items():
        stem, _, kind = key.rpartition(".")
        if RECOMPUTED.search(key) or _layer_past_use(key):
            continue
        if stem.endswith(JOINED):
            layer = place(stem.removesuffix(JOINED))
            for part, chunk in zip("qkv", tensor.chunk(3), strict=True):
                yield f"{layer}.self_attn.{part}_proj.{kind}", chunk.clone()
            continue
        target = place(stem)
        if target is None:
            raise UsageError(f"the codec {codec} has the unknown key {key}")
        if key.startswith("CodecEnc.") and key.endswith("act.bias"):
            kind = "beta"
        yield f"{target}.{kind}", tensor


def config_of(given: Mapping[str, Tensor]) -> Xcodec2Config:
    """Read the sizes of the model from its tensors' shapes. Raises KeyError that names a missing tensor."""
    _, head = given["semantic_model.encoder.layers.0.self_attn.distance_embedding.weight"].shape
    hidden = len(given["fc_post_a.bias"])
    semantic_hidden = len(given["semantic_model.feature_projection.projection.bias"])
    inner = given["semantic_model.encoder.layers.0.ffn1.intermediate_dense.weight"]
    blocks = _count(given, r"CodecEnc\.conv_blocks\.(\d+)\.block\.4\.bias")
    kernels = [_kernel(given, f"CodecEnc.conv_blocks.{block}.block.4") for block in range(1, blocks + 1)]
    return Xcodec2Config(
        hidden_size=hidden,
        intermediate_size=len(given["generator.backbone.transformers.0.mlp.fc1.weight"]),
        num_hidden_layers=_count(given, r"generator\.backbone\.transformers\.(\d+)\.att_norm\.weight"),
        num_attention_heads=hidden // 64,  # the authors' decoder has heads of 64
        num_key_value_heads=hidden // 64,
        encoder_hidden_size=len(given["CodecEnc.conv_blocks.0.bias"]),
        downsampling_ratios=[kernel // 2 for kernel in kernels],  # each kernel is twice its stride
        quantization_dim=given["generator.quantizer.project_in.weight"].shape[1],
        semantic_model_config=Wav2Vec2BertConfig(
            hidden_size=semantic_hidden,
            intermediate_size=len(inner),
            num_hidden_layers=SEMANTIC_LAYERS,
            num_attention_heads=semantic_hidden // head,
        ),
    )


def _read(found: Checkpoint) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for path in found.weights:
        with safe_open(path, framework="pt") as opened:
            tensors.update({key: opened.get_tensor(key).float() for key in opened.keys()})  # noqa: SIM118
    return tensors


def _folded(given: Mapping[str, Tensor], codec: str) -> dict[str, Tensor]:
    """Fold each weight norm's magnitude and direction into one weight: g v / |v|."""
    made = dict(given)
    for magnitude, direction in NORMED.items():
        for key in [key for key in made if key.endswith(f".{magnitude}")]:
            stem = key.removesuffix(magnitude)
            if stem + direction not in made:
                raise UsageError(f"the codec {codec} lacks the key {stem + direction}")
            v, g = made.pop(stem + direction), made.pop(key)
            made[f"{stem}weight"] = torch._weight_norm(v, g, 0)  # what PyTorch's own parametrization calls
    return made


def _layer_past_use(key: str) -> bool:
    match = re.match(r"semantic_model\.encoder\.layers\.(\d+)\.", key)
    return match is not None and int(match[1]) >= SEMANTIC_LAYERS


def _count(given: Mapping[str, Tensor], pattern: str) -> int:
    return sum(re.fullmatch(pattern, key) is not None for key in given)


def _kernel(given: Mapping[str, Tensor], stem: str) -> int:
    for name in ("parametrizations.weight.original1", "weight_v", "weight"):
        if f"{stem}.{name}" in given:
            return given[f"{stem}.{name}"].shape[-1]
    raise KeyError(f"{stem}.weight")
