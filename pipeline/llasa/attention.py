"""Attention over preallocated slots: the cache layer that `transformers` models write to, and how it is read.

Each row of a batch stands at its own position: prompts are padded at the end, never attended to there, and
what padding left in the cache is overwritten as the row goes on. So no row depends on how long the others
are.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention
from transformers import AttentionInterface, AttentionMaskInterface, Cache, PretrainedConfig
from transformers.cache_utils import CacheLayerMixin

from pipeline.errors import MissingPackage

SDPA = "slots_sdpa"
FLEX = "slots_flex"
FLASH = "slots_fa"  # a name with "flash" in it would make transformers look for its own kernels


class SlotLayer(CacheLayerMixin):
    """Keys and values of one layer, (slots, heads, length, head size), allocated once.

    A prompt (several tokens) is written from position 0 on; a decode step writes one token a row at
    `positions` and reads the first `window` positions.
    """

    is_compileable = True
    keys: Tensor  # never without, unlike the base class
    values: Tensor
    positions: Tensor  # int64 (rows,), set by SlotCache
    window: int

    def __init__(
        self, slots: int, heads: int, length: int, size: int, dtype: torch.dtype, device: torch.device
    ):
        # the base class would only set what is set here
        self.keys = torch.zeros(slots, heads, length, size, dtype=dtype, device=device)
        self.values = torch.zeros_like(self.keys)
        for tensor in (self.keys, self.values):
            torch._dynamo.mark_static_address(tensor)  # type: ignore[no-untyped-call]
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write the new states, (rows, heads, tokens, head size), and return all that the tokens may read."""
        rows, _, tokens, _ = key_states.shape
        if tokens > 1:
            self.keys[:rows, :, :tokens] = key_states
            self.values[:rows, :, :tokens] = value_states
            return key_states, value_states
        positions = self.positions.to(self.keys.device)
        every = torch.arange(rows, device=self.keys.device)
        self.keys[every, :, positions] = key_states[:, :, 0]
        self.values[every, :, positions] = value_states[:, :, 0]
        return self.keys[:rows, :, : self.window], self.values[:rows, :, : self.window]

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Do nothing: the tensors were made at once."""

    def get_seq_length(self) -> int:
        """Return 0: positions are given with each call, not counted here."""
        return 0

    def get_max_length(self) -> int:
        """Return the positions that a slot has."""
        return int(self.keys.shape[2])

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """See CacheLayerMixin: keys to mask, and the first one's position."""
        return query_length, 0


class SlotCache(Cache):
    """The layers of a model's cache, for `slots` requests of up to `length` tokens."""

    def __init__(self, model: Any, slots: int, length: int) -> None:
        config: PretrainedConfig = model.config
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        slots_of_layers = [
            SlotLayer(slots, config.num_key_value_heads, length, size, parameter.dtype, parameter.device)
            for parameter in (layer.input_layernorm.weight for layer in model.model.layers)
        ]
        super().__init__(layers=list(slots_of_layers))
        self.slots, self.length, self.window = slots, length, length
        self._slot_layers = slots_of_layers

    def set_positions(self, positions: Tensor, window: int) -> None:
        """Set where the next decode steps write, int64 (rows,), and how many positions they read."""
        self.window = window
        for layer in self._slot_layers:
            layer.positions, layer.window = positions, window


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Compute scaled dot-product attention as `transformers` calls it.

    `query` is (rows, heads, tokens, head size).

    In a decode step the query heads that share a key head are laid along the token axis, so that grouped
    keys are read once and not copied for each head.
    """
    rows, heads, tokens, size = query.shape
    if tokens > 1:
        grouped = heads != key.shape[1]
        out = functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scaling, enable_gqa=grouped
        )
        return out.transpose(1, 2).contiguous(), None
    packed = query.view(rows, key.shape[1], -1, size)
    out = functional.scaled_dot_product_attention(packed, key, value, attn_mask=attention_mask, scale=scaling)
    return out.reshape(rows, 1, heads, size), None


def attend_flash(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    lengths: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend by FlashAttention, which reads only `lengths`, int64 (rows,), of each row's slot."""
    query, key, value = (tensor.transpose(1, 2) for tensor in (query, key, value))
    if lengths is None:
        lengths = torch.full((query.shape[0],), query.shape[1], device=query.device)
    return _flash(query, key, value, lengths.to(torch.int32), scaling), None


@torch.library.custom_op("llasa::flash", mutates_args=())
def _flash(query: Tensor, key: Tensor, value: Tensor, lengths: Tensor, scaling: float | None) -> Tensor:
    from flash_attn import flash_attn_with_kvcache

    out: Tensor = flash_attn_with_kvcache(
        query, key, value, cache_seqlens=lengths, softmax_scale=scaling, causal=True
    )
    return out.contiguous()


@_flash.register_fake
def _(query: Tensor, key: Tensor, value: Tensor, lengths: Tensor, scaling: float | None) -> Tensor:
    return torch.empty_like(query, memory_format=torch.contiguous_format)


def attend_flex(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    newest: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend by flex_attention in decode steps, whose compiled kernel splits the keys over the whole GPU.

    One query row a head cannot fill a GPU otherwise. `newest`, int64 (rows,), is the last position that a row
    may read; prompts have none.
    """
    if newest is None:
        return attend(module, query, key, value, attention_mask, scaling)

    def up_to_newest(score: Tensor, row: Tensor, head: Tensor, at: Tensor, ahead: Tensor) -> Tensor:
        return torch.where(ahead <= newest[row], score, -torch.inf)

    grouped = query.shape[1] != key.shape[1]
    out = flex_attention(query, key, value, score_mod=up_to_newest, scale=scaling, enable_gqa=grouped)
    return out.transpose(1, 2), None  # type: ignore[union-attr]


def use(model: Any, implementation: str) -> None:
    """Make a model attend by SDPA, FLASH or FLEX.

    Raises MissingPackage if FlashAttention is asked for and not installed.
    """
    if implementation == FLASH and not flash_is_installed():
        raise MissingPackage("flash-attn", "flash", "--attn flash")
    for name, function in ((SDPA, attend), (FLASH, attend_flash), (FLEX, attend_flex)):
        AttentionInterface.register(name, function)
        AttentionMaskInterface.register(name, lambda *args, **kwargs: None)
    model.set_attn_implementation(implementation)


def flash_is_installed() -> bool:
    """Return whether the package flash-attn can be imported."""
    from importlib.util import find_spec

    return find_spec("flash_attn") is not None
