"""The reference: the unmodified transformers feature extractor and model on one clip alone, in float32.

Every other path of this room is measured against it, and it decides a clip that rounding could tip.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


class Reference:
    """Encodes one clip at a time as the transformers documentation shows."""

    def __init__(self, model: Any, extractor: Any) -> None:
        self._model = model
        self._extractor = extractor

    @torch.inference_mode()
    def encode(self, waveform: Tensor) -> np.ndarray:
        """Encode a float32 waveform (samples,) in CPU memory to uint16 (codes,)."""
        rate = self._extractor.sampling_rate
        inputs = self._extractor(audio=waveform.numpy(), sampling_rate=rate, return_tensors="pt")
        output = self._model.encode(**inputs.to(self._model.device))
        codes: np.ndarray = output.audio_codes[0, 0].cpu().numpy().astype(np.uint16)
        return codes

    def encode_scaled(self, waveform: Tensor) -> tuple[np.ndarray, Tensor]:
        """Return codes as `encode` does, and the values just before rounding, float32 (codes, dimensions).

        Both are in CPU memory.
        """
        seen: list[Tensor] = []
        rounding = self._model.quantizer.quantizer
        hook = rounding.register_forward_pre_hook(lambda module, given: seen.append(module.bound(given[0])))
        try:
            codes = self.encode(waveform)
        finally:
            hook.remove()
        return codes, seen[0][0].cpu()
