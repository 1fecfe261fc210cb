"""Runs w2v-BERT's layers on a padded batch on a GPU, without waiting for the device.

The library's own forward looks at its mask to see whether there is padding, which waits for the device at
every batch; and it makes an embedding for every pair of positions, though distances are clamped to 73 values.
Here the mask stays on the device, and each query meets the 73 distance embeddings once, from which the bias
of every pair is read. On a CPU the library's forward is used: its rounding is the reference's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.codec.masking import valid

LEAST = -1e4  # a bias that leaves nothing of a weight in any type, and no row without weights


def encode(model: Any, features: Tensor, lengths: Tensor) -> Tensor:
    """Return the last hidden state (clips, vectors, hidden) of a `Wav2Vec2BertModel`.

    Its relative positions must be clamped. `features`: (clips, vectors, 160); `lengths`: int64 (clips,),
    each clip's own vectors. What lies past them in the result means nothing.
    """
    hidden: Tensor = model.feature_projection(features)[0]
    own = valid(lengths, features.shape[1])
    hidden = hidden.masked_fill(~own[..., None], 0.0)
    attention = model.encoder.layers[0].self_attn
    places = torch.arange(features.shape[1], device=features.device)
    distances = (places[None, :] - places[:, None]).clamp(
        -attention.left_max_position_embeddings, attention.right_max_position_embeddings
    )
    rows = distances + attention.left_max_position_embeddings
    for layer in model.encoder.layers:
        hidden = hidden + 0.5 * layer.ffn1(layer.ffn1_layer_norm(hidden))
        hidden = hidden + _attend(layer.self_attn, layer.self_attn_layer_norm(hidden), own, rows)
        hidden = hidden + layer.conv_module(hidden, attention_mask=own)
        hidden = layer.final_layer_norm(hidden + 0.5 * layer.ffn2(layer.ffn2_layer_norm(hidden)))
    return hidden


def supported(model: Any) -> bool:
    """Return whether `encode` computes what the model's own forward does, as for XCodec2 and NeuCodec."""
    config = model.config
    plain = not config.add_adapter and not config.use_intermediate_ffn_before_adapter
    return plain and config.position_embeddings_type == "relative_key"


def _attend(attention: Any, hidden: Tensor, own: Tensor, rows: Tensor) -> Tensor:
    shape = (*hidden.shape[:2], attention.num_heads, attention.head_size)
    query = attention.linear_q(hidden).view(shape).transpose(1, 2)
    key = attention.linear_k(hidden).view(shape).transpose(1, 2)
    value = attention.linear_v(hidden).view(shape).transpose(1, 2)
    table = (query @ attention.distance_embedding.weight.to(query.dtype).T) * attention.scaling
    bias = table.gather(-1, rows.expand(*table.shape[:2], -1, -1))  # (clips, heads, queries, keys)
    bias = bias.masked_fill(~own[:, None, None, :], LEAST)
    mixed = functional.scaled_dot_product_attention(
        query, key, value, attn_mask=bias, scale=attention.scaling
    )
    result: Tensor = attention.linear_out(mixed.transpose(1, 2).flatten(2))
    return result
