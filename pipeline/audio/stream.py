"""Reads a recording of any length from its beginning to its end, at another rate, in blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.audio.decode import RATES, AudioError, open_recording, resample
from pipeline.utterance import Reason

CHUNK, CONTEXT = 10, 1  # seconds resampled at a time, and seconds before and after that the filter sees


@dataclass
class Stream:
    """An open recording: `rate` in Hz and `samples` so far are the source's."""

    rate: int
    samples: int
    blocks: Iterator[np.ndarray]  # float32 (n,) at the rate asked for


@contextmanager
def open_stream(file: Path | BinaryIO, target: int) -> Iterator[Stream]:
    """Open a recording to be read once, as mono at `target` Hz, holding less than half a minute of it.

    Joined, the blocks are what `resample` makes of the whole recording. Raises AudioError, also while the
    blocks are read, and for samples that are not finite.
    """
    with open_recording(file) as decoder:
        if decoder.rate not in RATES:
            raise AudioError(Reason.DECODE_FAILED, f"its header states a sample rate of {decoder.rate:,} Hz")
        stream = Stream(decoder.rate, 0, iter(()))
        stream.blocks = _resampled(_counted(decoder.blocks(0, None), stream), decoder.rate, target)
        yield stream


def _counted(blocks: Iterable[np.ndarray], stream: Stream) -> Iterator[np.ndarray]:
    for block in blocks:
        if not np.isfinite(block).all():
            raise AudioError(Reason.NOT_FINITE, "it has samples that are NaN or infinite")
        stream.samples += len(block)
        yield block


def _resampled(blocks: Iterable[np.ndarray], rate: int, target: int) -> Iterator[np.ndarray]:
    """Resample chunks of whole seconds, so that every chunk begins at a sample of both rates."""
    held: list[np.ndarray] = []
    count, lead = 0, 0  # samples held, and seconds of context before the next chunk among them
    for block in blocks:
        held.append(block)
        count += len(block)
        while count >= (lead + CHUNK + CONTEXT) * rate:
            waveform = np.concatenate(held)
            piece = _resample(waveform[: (lead + CHUNK + CONTEXT) * rate], rate, target)
            yield piece[lead * target : (lead + CHUNK) * target]
            held = [waveform[(lead + CHUNK - CONTEXT) * rate :]]
            count, lead = len(held[0]), CONTEXT
    if count > lead * rate:
        yield _resample(np.concatenate(held), rate, target)[lead * target :]


def _resample(waveform: np.ndarray, rate: int, target: int) -> np.ndarray:
    import torch

    return resample(torch.from_numpy(np.ascontiguousarray(waveform)), rate, target).numpy()
