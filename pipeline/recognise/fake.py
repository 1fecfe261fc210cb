"""A recogniser that loads nothing, for tests: `fake:`, or `fake:NAME` for one that hears other words.

It hears a word in every 0.4 s, by a checksum of the samples so far.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from pipeline.recognise.recogniser import RATE, Heard, Word

WORD = RATE * 2 // 5  # samples
WORDS = ("alder", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine", "rowan", "willow")


class FakeRecogniser:
    """See the module; `name` is what follows `fake:`."""

    def __init__(self, name: str) -> None:
        self.name = f"fake:{name}"
        self.language: str | None = "en"

    def transcribe(self, waveforms: Sequence[np.ndarray], language: str | None) -> list[Heard]:
        """See `Recogniser.transcribe`."""
        heard = [" ".join(word.text for word in self.words(waveform, language)) for waveform in waveforms]
        return [Heard(f"{text.capitalize()}.", language or self.language, 1.0) for text in heard]

    def words(self, waveform: np.ndarray, language: str | None) -> list[Word]:
        """See `Recogniser.words`."""
        return [
            Word(self._word(waveform[: first + WORD]), first / RATE, (first + WORD * 3 // 4) / RATE)
            for first in range(0, len(waveform) - WORD + 1, WORD)
        ]

    def _word(self, waveform: np.ndarray) -> str:
        return WORDS[zlib.crc32(waveform.tobytes() + self.name.encode()) % len(WORDS)]
