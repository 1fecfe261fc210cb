"""A second set of a model's modules for the fast path, which shares the weights that it does not change.

The reference keeps the unmodified modules. The copies compute the same in another way:

- half precision: weights of matrix products and convolutions are cast once, where autocast would cast them at
  every call; biases too. Norms keep float32.
- float32 on a CPU: matrix products by oneDNN on weights laid out for it, 109 GFLOP/s a core where the linear
  layer's own library has 75 to 87 (AMD EPYC with AVX-512). The layout is a copy: 1.5 GB for XCodec2.
- on a GPU channels lie side by side in memory from the first convolution to the last, as its convolutions in
  half precision and the activation's kernel want them: nothing is transposed between two layers.
- convolutions of one tap are matrix products, in the layout that their input has.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

PARTS = ("semantic_encoder", "semantic_adapter", "acoustic_encoder", "fc_encoder")  # `quantizer` stays


class OneDnnLinear(nn.Module):
    """A linear layer in float32 on a CPU, its weight in oneDNN's own order."""

    def __init__(self, linear: nn.Linear | nn.Conv1d) -> None:
        super().__init__()
        weight = linear.weight.detach().flatten(1)
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, None)
        self.bias = linear.bias

    def forward(self, values: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        made: Tensor = torch.ops.mkldnn._linear_pointwise(values, self.packed, self.bias, "none", [], "")
        return made


class TokenwiseConv(nn.Module):
    """A convolution of one tap on values whose channels lie side by side in memory, as after a transpose."""

    def __init__(self, linear: nn.Module) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, values: Tensor) -> Tensor:
        """Map (clips, inputs, time) to (clips, outputs, time)."""
        made: Tensor = self.linear(values.transpose(1, 2)).transpose(1, 2)
        return made


class ChannelsLastConv(nn.Module):
    """A convolution whose result's channels lie side by side in memory, as its input's should."""

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        own = conv.weight.detach()[:, :, None]
        weight = torch.empty_like(own, memory_format=torch.channels_last).copy_(own)  # also of one channel
        self.weight, self.bias = nn.Parameter(weight, requires_grad=False), conv.bias
        self.stride, self.dilation = (1, *conv.stride), (1, *conv.dilation)
        self.padding = (0, *conv.padding)

    def forward(self, values: Tensor) -> Tensor:
        """Map (clips, inputs, time) to (clips, outputs, time)."""
        made: Tensor = functional.conv2d(
            values[:, :, None], self.weight, self.bias, self.stride, self.padding, self.dilation
        )
        return made[:, :, 0]


class ChannelwiseConv(nn.Module):
    """A convolution of one tap on values whose times lie side by side in memory."""

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(conv.weight[..., 0], requires_grad=False), conv.bias

    def forward(self, values: Tensor) -> Tensor:
        """Map (clips, inputs, time) to (clips, outputs, time)."""
        weight = self.weight.expand(len(values), -1, -1)
        if self.bias is None:
            return weight @ values
        return torch.baddbmm(self.bias[:, None], weight, values)


def fast_parts(model: Any, half: torch.dtype | None) -> nn.Module:
    """Return PARTS and `quantizer` of `model` as attributes of one module, changed as the module says.

    `half` is the type of the encoders; on a CPU of the semantic one and its adapter alone.
    """
    device = next(model.parameters()).device
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    parts = nn.Module()
    for name in PARTS:
        part = copy.deepcopy(getattr(model, name), shared.copy())
        cast = half if device.type != "cpu" or name.startswith("semantic") else None
        _replace(part, cast, device, tokenwise=name == "semantic_encoder")
        setattr(parts, name, part if name != "fc_encoder" else _faster(part, cast, device, tokenwise=True))
    parts.quantizer = model.quantizer
    return parts


def _replace(module: nn.Module, half: torch.dtype | None, device: torch.device, *, tokenwise: bool) -> None:
    for name, child in module.named_children():
        _replace(child, half, device, tokenwise=tokenwise)
        setattr(module, name, _faster(child, half, device, tokenwise=tokenwise))


def _faster(
    module: nn.Module, half: torch.dtype | None, device: torch.device, *, tokenwise: bool
) -> nn.Module:
    """Return what stands for `module`: itself unless it is a matrix product or a convolution."""
    if not isinstance(module, nn.Linear | nn.Conv1d):
        return module
    if half is not None:
        module.weight = nn.Parameter(module.weight.to(half), requires_grad=False)
        if module.bias is not None:
            module.bias = nn.Parameter(module.bias.to(half), requires_grad=False)
    pack = half is None and device.type == "cpu" and torch.backends.mkldnn.enabled
    if isinstance(module, nn.Linear):
        return OneDnnLinear(module) if pack else module
    if module.groups != 1:
        return module  # depthwise: PyTorch's own kernel wants times side by side
    cuda = device.type == "cuda"
    if module.kernel_size != (1,) or module.stride != (1,):
        return ChannelsLastConv(module) if cuda else module
    if not tokenwise and not cuda:
        return ChannelwiseConv(module)
    return TokenwiseConv(OneDnnLinear(module) if pack else _linear(module))


def _linear(conv: nn.Conv1d) -> nn.Linear:
    outputs, inputs, _ = conv.weight.shape
    with torch.device("meta"):
        linear = nn.Linear(inputs, outputs, bias=False)
    linear.weight = nn.Parameter(conv.weight[..., 0], requires_grad=False)
    linear.bias = conv.bias  # type: ignore[assignment]  # None is a bias too
    return linear
