"""Run by test_codec_activation.py in its own process: Triton's interpreter is chosen at its import."""

from __future__ import annotations

import json

import torch
from codec_helpers import xcodec2

from pipeline.codec.activation.plain import plain
from pipeline.codec.activation.triton import fused

WIDTHS = {1_100: [1_100, 1, 2, 7, 1_023, 1_025], 40: [40, 13]}

module = xcodec2()[0].acoustic_encoder.block[0].snake1
torch.manual_seed(0)
errors: dict[str, float] = {}
for width, lengths in WIDTHS.items():
    values = torch.randn(len(lengths), 4, width)
    own = torch.tensor(lengths)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        error = (
            fused(module, values.to(dtype), own).float() - plain(module, values.to(dtype).float(), own)
        ).abs()
        errors[str(dtype)] = max(errors.get(str(dtype), 0.0), float(error.max()))
print(json.dumps(errors))
