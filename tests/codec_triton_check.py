"""Run by test_codec_activation.py in its own process: Triton's interpreter is chosen at its import."""

from __future__ import annotations

import json

import torch
from codec_helpers import xcodec2

from pipeline.codec.activation.plain import plain
from pipeline.codec.activation.triton import fused

CLIPS = {  # dtype: (block of the encoder, lengths of a batch's clips)
    torch.float32: [
        (2, [1_000, 613]),
        (0, [40, 1, 13]),
    ],  # six programs a channel, of which four touch no end
    torch.bfloat16: [(2, [1_200])],
    torch.float16: [(2, [1_200])],
}

encoder = xcodec2()[0].acoustic_encoder
torch.manual_seed(0)
errors: dict[str, float] = {}
for dtype, batches in CLIPS.items():
    for block, lengths in batches:
        module, own = encoder.block[block].snake1, torch.tensor(lengths)
        values = torch.randn(len(lengths), len(module.act.alpha), max(lengths)).to(dtype)
        made = fused(module, values, own)
        error = (made.float() - plain(module, values.float(), own)).abs()
        assert made.transpose(1, 2).is_contiguous()
        errors[str(dtype)] = max(errors.get(str(dtype), 0.0), float(error.max()))
print(json.dumps(errors))
