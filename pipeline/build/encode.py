"""Runs batches through the codec, some under way at a time, in smaller ones where memory does not suffice."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

import numpy as np
from torch import Tensor

from pipeline.codec.protocol import Codec, Pending
from pipeline.runtime import is_out_of_memory

DEPTH = 3  # batches: one is computed, the next one waits, and clips in doubt of the last are encoded again
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
    """Start encoding; None if the batch is empty or did not fit beside those under way."""
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
    """Encode a batch; while it does not fit, let the codec use less memory, and last encode clip by clip."""
    if len(lengths) == 0:
        return []
    while (codes := _encode(codec, waveforms, lengths)) is None and codec.shrink():
        pass
    if codes is not None or len(lengths) == 1:
        return codes or [None]
    clips = (slice(row, row + 1) for row in range(len(lengths)))
    return [(_encode(codec, waveforms[clip], lengths[clip]) or [None])[0] for clip in clips]


def _encode(codec: Codec, waveforms: Tensor, lengths: Tensor) -> Codes | None:
    """Return the codes of a batch; None if it does not fit."""
    try:
        return list(codec.encode(waveforms[:, : int(lengths.max())], lengths))
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return None
