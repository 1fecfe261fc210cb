"""What a speech recogniser is, and what it hears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pipeline.errors import UsageError

RATE = 16_000  # Hz, of every waveform here
BATCH = 8
WINDOW = 30 * RATE  # samples that Whisper hears at once


@dataclass(frozen=True, slots=True)
class Heard:
    """What a recogniser heard in one waveform.

    `confidence` is the geometric mean of the tokens' probabilities; None if the recogniser does not tell.
    """

    text: str
    language: str | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """A word with its times in the waveform, in seconds."""

    text: str
    start: float
    end: float


class Recogniser(Protocol):
    """Hears float32 waveforms at 16 kHz."""

    name: str
    language: str | None  # the only one it knows; None: it takes any

    def transcribe(self, waveforms: Sequence[np.ndarray], language: str | None) -> list[Heard]:
        """Return what is said in each waveform, in a language if it is known."""
        ...

    def words(self, waveform: np.ndarray, language: str | None) -> list[Word] | None:
        """Return the words of at most 30 s with their times; None if it cannot tell them."""
        ...


def windows(waveform: np.ndarray) -> list[np.ndarray]:
    """Cut a waveform into pieces of 30 s, the last one shorter; an empty one is one piece."""
    return [waveform[first : first + WINDOW] for first in range(0, max(len(waveform), 1), WINDOW)]


def join(pieces: Sequence[Heard]) -> Heard:
    """Join what was heard in the pieces of one waveform; it is as sure as the least sure piece."""
    told = [piece.confidence for piece in pieces if piece.confidence is not None]
    text = " ".join(piece.text for piece in pieces if piece.text)
    return Heard(text, pieces[0].language, min(told, default=None))


def unloadable(name: str, error: Exception) -> UsageError:
    """Return the error for a recogniser that cannot be loaded."""
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return UsageError(
        f"the speech recogniser {name} cannot be loaded ({reason}): give a Hugging Face id, a folder, "
        "or a Whisper .pt file"
    )
