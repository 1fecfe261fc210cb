"""Turns codes back into waveforms, in batches: each clip as it would come out alone.

The decoder mixes along time everywhere (attention, and group norms over a whole clip), so clips share a batch
only if they have equally many codes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import UsageError

CODES_AT_ONCE = 12_000  # 240 s of audio a batch


def decode(model: Any, codes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Decode uint16 (codes,) to waveforms, float32 (samples,), at the model's output rate.

    Raises UsageError if the model was loaded without its decoder.
    """
    if model.acoustic_decoder is None:
        raise UsageError("this codec was loaded for encoding only: load it with its decoder")
    rows_by_length: defaultdict[int, list[int]] = defaultdict(list)
    for row, clip in enumerate(codes):
        rows_by_length[len(clip)].append(row)
    made: list[np.ndarray] = [np.empty(0, np.float32)] * len(codes)
    for length, rows in rows_by_length.items():
        step = max(1, CODES_AT_ONCE // max(1, length))
        for start in range(0, len(rows) if length else 0, step):
            chosen = rows[start : start + step]
            for row, waveform in zip(
                chosen, _equal(model, np.stack([codes[r] for r in chosen])), strict=True
            ):
                made[row] = waveform
    return made


@torch.inference_mode()
def _equal(model: Any, codes: np.ndarray) -> np.ndarray:
    given = torch.from_numpy(codes.astype(np.int64)).to(model.device)
    waveforms: Tensor = model.decode(audio_codes=given[:, None]).audio_values
    return waveforms[:, 0].float().cpu().numpy()
