"""Run by test_codec_activation.py in its own process: Triton's interpreter is chosen at its import."""

from __future__ import annotations

import json

import torch
from codec_helpers import xcodec2

from pipeline.codec.activation.plain import plain
from pipeline.codec.activation.triton import fused

WIDE, NARROW = 2_072, 40  # three programs a channel, of which the second touches no end; one program
CLIPS = {
    torch.float32: {WIDE: [WIDE, 1_025], NARROW: [NARROW, 1, 13]},
    torch.bfloat16: {WIDE: [WIDE]},
    torch.float16: {WIDE: [WIDE]},
}

module = xcodec2()[0].acoustic_encoder.block[0].snake1
torch.manual_seed(0)
errors: dict[str, float] = {}
for dtype, widths in CLIPS.items():
    for width, lengths in widths.items():
        values, own = torch.randn(len(lengths), 4, width).to(dtype), torch.tensor(lengths)
        error = (fused(module, values, own).float() - plain(module, values.float(), own)).abs()
        errors[str(dtype)] = max(errors.get(str(dtype), 0.0), float(error.max()))
print(json.dumps(errors))
