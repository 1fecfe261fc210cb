"""How near a rounding boundary a value may lie before its clip's codes are in doubt.

Batching exactly leaves floating-point rounding: sums in another order, other kernels. It moves the values
that are rounded to codes by some 1e-6, and a value that lies nearer than that to a boundary can fall on
either side. So the movement is measured on every clip that is encoded twice, the first ones among them, and
a clip with a value nearer than `SAFETY` times the largest movement seen is encoded again by the reference,
alone.
"""

from __future__ import annotations

import logging

SAFETY = (
    2.0  # the movements' root mean square is a seventh of the largest seen, so twice that is far beyond it
)
LEAST = 2e-6  # of a tolerance: a few units in the last place of the values that are rounded
MEASURED_CODES = 400  # 8 s of audio: until so many were compared, every clip is encoded twice


class Tolerance:
    """The distance from a boundary within which values are in doubt; it only ever grows."""

    def __init__(self) -> None:
        self.value = LEAST
        self.clips = 0  # encoded so far
        self.redone = 0  # of them, encoded again
        self._compared = 0  # codes

    def in_doubt(self, margin: float, *, reliable: bool) -> bool:
        """Return whether a clip must be encoded again; its nearest value is `margin` from a boundary."""
        self.clips += 1
        doubt = not reliable or margin < self.value or self._compared < MEASURED_CODES
        self.redone += doubt
        return doubt

    def observe(self, movement: float, codes: int) -> None:
        """Record the largest movement of a clip's values between the fast path and the reference."""
        if movement * SAFETY > self.value:
            if self._compared >= MEASURED_CODES:
                logging.getLogger(__name__).info(
                    "rounding moved a value by %.1e: tolerance widened", movement
                )
            self.value = movement * SAFETY
        self._compared += codes
