"""Runs batches through the codec, two under way at a time, and splits a batch that does not fit."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

import numpy as np
from torch import Tensor

from pipeline.codec.protocol import Codec, Pending
from pipeline.runtime import is_out_of_memory

DEPTH = 2  # batches on the device: one is computed while the codes of the one before come back
Codes = list[np.ndarray | None]  # a clip's codes; None: it does not fit even alone


class Padded(Protocol):
    """Clips side by side: float32 (clips, samples), zero-padded, and their lengths, int64 (clips,)."""

    waveforms: Tensor
    lengths: Tensor


B = TypeVar("B", bound=Padded)


def encode(codec: Codec, batches: Iterable[B]) -> Iterator[tuple[B, Codes]]:
    """Yield each batch with the codes of its clips, in order."""
    under_way: deque[tuple[B, Pending | None]] = deque()
    for batch in batches:
        under_way.append((batch, _launch(codec, batch)))
        if len(under_way) >= DEPTH:
            yield _finish(codec, *under_way.popleft())
    while under_way:
        yield _finish(codec, *under_way.popleft())


def _launch(codec: Codec, batch: Padded) -> Pending | None:
    """Start encoding; None if the batch is empty or did not fit beside the one under way."""
    if len(batch.lengths) == 0:
        return None
    try:
        return codec.launch(batch.waveforms, batch.lengths)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return None


def _finish(codec: Codec, batch: B, pending: Pending | None) -> tuple[B, Codes]:
    if pending is not None:
        try:
            return batch, list(pending.result())
        except Exception as error:
            if not is_out_of_memory(error):
                raise
    return batch, _encode_fitting(codec, batch.waveforms, batch.lengths)


def _encode_fitting(codec: Codec, waveforms: Tensor, lengths: Tensor) -> Codes:
    """Encode a batch at once; if it does not fit, encode its two halves."""
    clips = len(lengths)
    if clips == 0:
        return []
    try:
        return list(codec.encode(waveforms[:, : int(lengths.max())], lengths))
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    if clips == 1:
        return [None]
    half = clips // 2
    return _encode_fitting(codec, waveforms[:half], lengths[:half]) + _encode_fitting(
        codec, waveforms[half:], lengths[half:]
    )
