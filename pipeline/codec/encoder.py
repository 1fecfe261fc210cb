"""The batched forward pass of XCodec2 and NeuCodec: gives each clip what the model gives it alone.

Calls the submodules of the unmodified transformers model and puts masks between them (see masking.py). A
clip's edges are hidden from it at every layer, so only floating-point rounding is left between a clip in a
batch and the clip alone; `EncoderOutput.margins` says how much of it a clip can bear.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.codec import semantic
from pipeline.codec.activation.parameters import Activation, snake_parameters
from pipeline.codec.log_mel import LogMel
from pipeline.codec.masking import valid, zero_past
from pipeline.runtime import keep_compiled_code

VARIANTS = 128  # of a compiled graph, each for some shapes: see shapes.py


@dataclass(frozen=True, slots=True)
class EncoderOutput:
    """The codes of a batch, and how safe they are.

    `codes`: uint16 (clips, positions), of which a clip owns its first `counts`, int64 (clips,).
    `pre_quant`: float32 (clips, positions, dimensions), the values just before rounding. `margins`: float32
    (clips,), how far the nearest of a clip's own is from a rounding boundary. `reliable`: boolean (clips,),
    false if near-zero feature variance amplifies float error, so that the margin cannot be trusted. The
    last three are None in half precision, where nothing is encoded again.
    """

    codes: Tensor
    counts: Tensor
    pre_quant: Tensor | None = None
    margins: Tensor | None = None
    reliable: Tensor | None = None

    def map(self, change: Callable[[Tensor], Tensor]) -> EncoderOutput:
        """Return the same with every tensor changed."""
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: change(one) for name, one in tensors.items() if one is not None})


class BatchEncoder:
    """Encodes padded batches with the submodules of `model`: of transformers' own, or of fast.py's copies.

    `own_attention`: run w2v-BERT's layers by semantic.py instead of the library's forward. `half`: the type
    that the encoders run in (autocast), on a CPU the semantic one alone; features and what is rounded stay
    in float32.
    """

    def __init__(
        self,
        model: nn.Module,
        mel: LogMel,
        hop: int,
        activation: Activation,
        *,
        own_attention: bool = False,
        half: torch.dtype | None = None,
    ) -> None:
        self._model: Any = model  # submodules are untyped attributes
        self._mel = mel
        self._hop = hop
        self._activation = activation
        self._half = half
        self._own_attention = own_attention and semantic.supported(self._model.semantic_encoder)

    def compile(self, backend: str = "inductor") -> None:
        """Compile the two encoders, each as one graph for all shapes.

        Features stay outside: their Fourier transform is a library's anyway.
        """
        keep_compiled_code()
        dynamo = torch._dynamo.config  # at its own limit of 8, the next variant of a whole graph is an error
        dynamo.recompile_limit = max(dynamo.recompile_limit, VARIANTS)
        dynamo.accumulated_recompile_limit = max(dynamo.accumulated_recompile_limit, VARIANTS)
        for module in self._model.acoustic_encoder.modules():
            if hasattr(module, "upsample") and hasattr(module, "act"):
                snake_parameters(module)  # kept on the module: computed outside any graph
        for name in ("_semantic", "_acoustic"):
            made = torch.compile(getattr(self, name), dynamic=True, fullgraph=True, backend=backend)
            setattr(self, name, made)

    def __call__(self, waveforms: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode float32 `waveforms` (clips, samples), of int64 `lengths` (clips,), both on one device."""
        model, half, kind = self._model, self._half, waveforms.device.type
        pieces = waveforms.shape[1] // self._hop + 1  # the longest clip meets at least one zero after its end
        waveforms = functional.pad(waveforms, (0, pieces * self._hop - waveforms.shape[1]))
        padded = (lengths // self._hop + 1) * self._hop
        features, unsteady = self._mel(waveforms, padded)
        num_frames = self._mel.num_frames(padded)
        with torch.autocast(kind, dtype=half, enabled=half is not None):
            heard = self._semantic(features, num_frames)
        with torch.autocast(kind, dtype=half, enabled=half is not None and kind != "cpu"):
            acoustic = self._acoustic(waveforms[:, None, :], padded)
            shared = min(heard.shape[-1], acoustic.shape[-1])  # NeuCodec's features lack the last frame
            heard = heard[..., :shared].to(acoustic.dtype)
            both = [part.transpose(1, 2) for part in (heard, acoustic[..., :shared])]
            joined = model.fc_encoder(torch.cat(both, dim=2))
        quantizer = model.quantizer
        low = quantizer.project_in(joined.float())
        rounding = quantizer.quantizer
        pre_quant = rounding.bound(rounding.bound(low))  # twice: so the published weights were trained
        codes = ((pre_quant.round() + rounding.levels // 2) * rounding.basis).sum(-1)
        codes = codes.to(torch.int32).to(torch.uint16)
        counts = torch.minimum(num_frames, padded // self._hop)
        if half is not None:
            return EncoderOutput(codes, counts)
        distance = (pre_quant - pre_quant.floor() - 0.5).abs().amin(-1)
        margins = torch.where(valid(counts, shared), distance, 1.0).amin(-1)
        return EncoderOutput(codes, counts, pre_quant, margins, ~unsteady)

    def _semantic(self, features: Tensor, num_frames: Tensor) -> Tensor:
        hidden = self._listen(features, num_frames).transpose(1, 2)
        adapter = self._model.semantic_adapter
        first = zero_past(adapter.act1(adapter.conv1(zero_past(hidden, num_frames))), num_frames)
        second = zero_past(adapter.act2(adapter.conv2(first)), num_frames)
        result: Tensor = adapter.conv4(zero_past(adapter.conv3(second) + first, num_frames))
        return result

    def _listen(self, features: Tensor, num_frames: Tensor) -> Tensor:
        model = self._model.semantic_encoder
        if self._own_attention:
            return semantic.encode(model, features, num_frames)
        mask = valid(num_frames, features.shape[1])
        hidden: Tensor = model(features, attention_mask=mask).last_hidden_state
        return hidden

    def _acoustic(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        encoder, activate = self._model.acoustic_encoder, self._activation
        hidden = encoder.conv1(waveforms)
        for block in encoder.block:
            for unit in (block.res_unit1, block.res_unit2, block.res_unit3):
                inner = unit.conv1(activate(unit.snake1, hidden, lengths))
                hidden = hidden + unit.conv2(activate(unit.snake2, inner, lengths))
            hidden = block.conv1(activate(block.snake1, hidden, lengths))
            lengths = lengths // block.conv1.stride[0]
        result: Tensor = encoder.conv2(activate(encoder.snake1, hidden, lengths))
        return result
