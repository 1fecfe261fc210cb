"""The batched forward pass of XCodec2 and NeuCodec encoders: for each clip what the model gives it alone.

Walks the submodules of the unmodified transformers model and puts the masks between them (see masking.py).
Knows nothing of devices, copies or files. A clip's edges are hidden from it at every layer, so what is left
between a clip in a batch and the clip alone is floating-point rounding; `Coded.margin` says how much of it a
clip can bear.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.codec import semantic
from pipeline.codec.activation.parameters import Activation
from pipeline.codec.log_mel import LogMel
from pipeline.codec.masking import valid, zero_past


@dataclass(frozen=True, slots=True)
class Coded:
    """A batch's codes. `codes`: int32 (clips, positions), of which a clip owns its first `counts` (int64
    (clips,)).

    `scaled`: float32 (clips, positions, dimensions), the values just before rounding; `steady`: boolean
    (clips,), false where rounding errors of the features are multiplied beyond what `scaled` shows.
    """

    codes: Tensor
    counts: Tensor
    scaled: Tensor
    steady: Tensor

    def first(self, clips: int) -> Coded:
        """The first so many clips."""
        return Coded(self.codes[:clips], self.counts[:clips], self.scaled[:clips], self.steady[:clips])

    def margin(self) -> Tensor:
        """How far each clip's nearest value is from a rounding boundary: float32 (clips,)."""
        distance = (self.scaled - self.scaled.floor() - 0.5).abs().amin(-1)
        own = valid(self.counts, distance.shape[1])
        return torch.where(own, distance, 1.0).amin(-1)


class BatchEncoder:
    """Encodes padded batches with the submodules of `model` (an `Xcodec2Model` or a `NeuCodecModel`).

    `own_attention`: w2v-BERT's layers by semantic.py instead of the library's forward.
    """

    def __init__(
        self, model: nn.Module, mel: LogMel, hop: int, activation: Activation, *, own_attention: bool = False
    ) -> None:
        self._model: Any = model  # submodules are untyped attributes
        self._mel = mel
        self._hop = hop
        self._activation = activation
        self._own_attention = own_attention and semantic.supported(self._model.semantic_encoder)

    def compile(self, backend: str = "inductor") -> None:
        """Let `torch.compile` make the two encoders, each as one graph for all shapes.

        Features stay outside: their Fourier transform is a library's anyway.
        """
        for name in ("_semantic", "_acoustic"):
            made = torch.compile(getattr(self, name), dynamic=True, fullgraph=True, backend=backend)
            setattr(self, name, made)

    def __call__(self, waveforms: Tensor, lengths: Tensor, half: torch.dtype | None = None) -> Coded:
        """`waveforms`: float32 (clips, samples), zero past each clip's end; `lengths`: int64 (clips,), on its
        device.

        `half`: dtype that the two encoders run in (autocast); features, joining and rounding stay in float32.
        """
        model = self._model
        pieces = waveforms.shape[1] // self._hop + 1  # the longest clip meets at least one zero after its end
        waveforms = functional.pad(waveforms, (0, pieces * self._hop - waveforms.shape[1]))
        padded = (lengths // self._hop + 1) * self._hop
        features, unsteady = self._mel(waveforms, padded)
        vectors = self._mel.vectors(padded)
        with torch.autocast(waveforms.device.type, dtype=half, enabled=half is not None):
            heard = self._semantic(features, vectors)
            acoustic = self._acoustic(waveforms[:, None, :], padded)
        shared = min(heard.shape[-1], acoustic.shape[-1])  # NeuCodec's features lack the last frame
        joined = torch.cat([heard[..., :shared], acoustic[..., :shared]], dim=1).float().transpose(1, 2)
        quantizer = model.quantizer
        low = quantizer.project_in(model.fc_encoder(joined))
        rounding = quantizer.quantizer
        scaled = rounding.bound(rounding.bound(low))  # twice: so the published weights were trained
        codes = ((scaled.round() + rounding.levels // 2) * rounding.basis).sum(-1).to(torch.int32)
        return Coded(codes, torch.minimum(vectors, padded // self._hop), scaled, ~unsteady)

    def _semantic(self, features: Tensor, vectors: Tensor) -> Tensor:
        hidden = self._listen(features, vectors).transpose(1, 2)
        adapter = self._model.semantic_adapter
        first = zero_past(adapter.act1(adapter.conv1(zero_past(hidden, vectors))), vectors)
        second = zero_past(adapter.act2(adapter.conv2(first)), vectors)
        result: Tensor = adapter.conv4(zero_past(adapter.conv3(second) + first, vectors))
        return result

    def _listen(self, features: Tensor, vectors: Tensor) -> Tensor:
        model = self._model.semantic_encoder
        if self._own_attention:
            return semantic.encode(model, features, vectors)
        mask = valid(vectors, features.shape[1])
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
