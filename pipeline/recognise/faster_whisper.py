"""Whisper on CTranslate2, by the package faster-whisper. The only module that imports it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from faster_whisper import WhisperModel

from pipeline.recognise.recogniser import Heard, Word, unloadable


class FasterWhisper:
    """One waveform after the other: CTranslate2 uses the device well even so."""

    def __init__(self, name: str, device: torch.device, half: bool) -> None:
        """Load a size (`large-v3`), id or folder. Raises UsageError if that fails."""
        self.name = name
        precision = "float16" if half and device.type == "cuda" else "float32"
        try:
            self._model: Any = WhisperModel(
                name, device=device.type, device_index=device.index or 0, compute_type=precision
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise unloadable(name, error) from error
        self.language = None if self._model.model.is_multilingual else "en"

    def transcribe(self, waveforms: Sequence[np.ndarray], language: str | None) -> list[Heard]:
        """See `Recogniser.transcribe`."""
        return [self._heard(waveform, language) for waveform in waveforms]

    def words(self, waveform: np.ndarray, language: str | None) -> list[Word]:
        """See `Recogniser.words`."""
        segments, _ = self._listen(waveform, language, word_timestamps=True)
        return [Word(w.word.strip(), float(w.start), float(w.end)) for part in segments for w in part.words]

    def _heard(self, waveform: np.ndarray, language: str | None) -> Heard:
        segments, about = self._listen(waveform, language)
        parts = list(segments)
        text = " ".join(part.text.strip() for part in parts)
        mean = sum(part.avg_logprob for part in parts) / max(len(parts), 1)
        return Heard(text, about.language, math.exp(mean) if text else 0.0)

    def _listen(self, waveform: np.ndarray, language: str | None, **options: Any) -> tuple[Any, Any]:
        found: tuple[Any, Any] = self._model.transcribe(
            waveform,
            language=self.language or language,
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            **options,
        )
        return found
