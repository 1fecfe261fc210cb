"""How near a rounding boundary a value may lie before its clip's codes are in doubt.

Batching exactly leaves floating-point rounding: sums in another order, other kernels. It moves the values
that are rounded to codes by some 1e-6, and a value that lies nearer than that to a boundary can fall on
either side. So the movement is measured, on sounds made here and then on every clip that is encoded twice,
and a clip with a value nearer than `SAFETY` times the largest movement seen is encoded again by the
reference, alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from pipeline.codec.reference import Reference

SAFETY = (
    2.0  # the movements' root mean square is a seventh of the largest seen, so twice that is far beyond it
)
LEAST = 2e-6  # of a tolerance: a few units in the last place of the values that are rounded
SECONDS = (0.3, 1.0, 2.5, 4.0)  # of the sounds to measure on

PreQuant = Callable[[Tensor], Tensor]
"""float32 waveform (samples,) → float32 values before rounding (codes, dimensions), by the fast path."""


class Tolerance:
    """The distance from a boundary within which values are in doubt; it only ever grows."""

    def __init__(self) -> None:
        self.value = LEAST
        self.clips = 0  # encoded so far
        self.redone = 0  # of them, encoded again

    def measure(self, pre_quant: PreQuant, reference: Reference, sample_rate: int) -> None:
        """Compare both ways on a few sounds and set the tolerance."""
        for sound in sounds(sample_rate):
            self.observe(
                float((pre_quant(sound) - reference.encode_scaled(sound)[1]).abs().max()), expected=True
            )

    def observe(self, movement: float, *, expected: bool = False) -> None:
        """Record a movement between the fast path and the reference."""
        if movement * SAFETY > self.value:
            if not expected:
                logging.getLogger(__name__).info(
                    "rounding moved a value by %.1e: tolerance widened", movement
                )
            self.value = movement * SAFETY


def sounds(sample_rate: int) -> Iterator[Tensor]:
    """Return float32 waveforms (samples,): gliding tones in intermittent noise, the same on every call."""
    for number, seconds in enumerate(SECONDS):
        generator = np.random.default_rng(number)
        time = np.arange(int(seconds * sample_rate)) / sample_rate
        pitch = 120 + 60 * np.sin(2 * np.pi * 1.7 * time)
        phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
        tones = sum(np.sin(k * phase) / k for k in range(1, 12))
        level = np.clip(np.sin(2 * np.pi * 2.3 * time + number), 0.01, None)
        sound = level * (0.1 * tones + 0.03 * generator.standard_normal(len(time)))
        yield torch.from_numpy(sound.astype(np.float32))
