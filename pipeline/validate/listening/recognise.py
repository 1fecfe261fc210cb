"""What a speech recogniser hears, and how far that is from the text: a Hugging Face model or a Whisper file.

Errors are counted in words, or in characters if a language writes no spaces. The only module that imports
recognisers.
"""

from __future__ import annotations

import importlib.util
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pipeline.errors import UsageError
from pipeline.runtime import find_file
from pipeline.validate.listening.packages import INSTALL, Missing

RATE = 16_000  # Hz
UNSPACED = {"ja", "zh", "th", "lo", "km", "my", "yue"}  # languages scored by characters
BATCH = 8
WINDOW = 30 * RATE  # samples Whisper hears at once
GET_WHISPER = "python tools/fetch_whisper.py, then pip install -c constraints.txt openai-whisper"
SWAPPED = 0.7  # error rate from which something else is said than the text says


class Recogniser(Protocol):
    """Hears waveforms at 16 kHz."""

    name: str
    language: str | None  # the only one it knows; None: it takes any

    def transcribe(self, waveforms: Sequence[np.ndarray], language: str | None) -> list[str]:
        """Return what is said in each waveform, in a language if it is known."""
        ...


@dataclass(frozen=True)
class Errors:
    """Edits that turn the text into what was heard, and the text's length, in words or characters."""

    edits: int
    length: int

    @property
    def rate(self) -> float:
        """Edits by length."""
        return self.edits / max(self.length, 1)


def open_recogniser(name: str | None) -> tuple[Recogniser | None, list[Missing]]:
    """Open the recogniser that `name` names, or return what is missing for it.

    Raises UsageError if it cannot be loaded.
    """
    purpose = "word and character error rates"
    if name is None:
        return None, []
    if importlib.util.find_spec("jiwer") is None:
        return None, [Missing("jiwer", purpose, INSTALL.format("jiwer"))]
    path = Path(name)
    if path.suffix == ".pt":
        found = find_file(name)
        if found is None or importlib.util.find_spec("whisper") is None:
            return None, [Missing(f"the recogniser {name}", purpose, GET_WHISPER)]
        return WhisperFile(found), []
    return HuggingFace(name), []


class WhisperFile:
    """A checkpoint file of openai-whisper."""

    def __init__(self, path: Path) -> None:
        import whisper

        self.name = path.name
        self._whisper: Any = whisper
        self._model: Any = whisper.load_model(str(path))
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", ResourceWarning
            )  # it leaves its vocabulary's file to the collector
            whisper.tokenizer.get_tokenizer(self._model.is_multilingual, language="en", task="transcribe")
        self.language = None if self._model.is_multilingual else "en"

    def transcribe(self, waveforms: Sequence[np.ndarray], language: str | None) -> list[str]:
        """See `Recogniser.transcribe`. Clips of over 30 s are heard in pieces."""
        pieces = [(number, piece) for number, clip in enumerate(waveforms) for piece in _pieces(clip)]
        heard = [""] * len(waveforms)
        options = self._whisper.DecodingOptions(
            language=self.language or language,
            without_timestamps=True,
            fp16=self._model.device.type == "cuda",
        )
        for first in range(0, len(pieces), BATCH):
            chosen = pieces[first : first + BATCH]
            mels = [self._mel(piece) for _, piece in chosen]
            results = self._whisper.decode(self._model, _stack(mels).to(self._model.device), options)
            for (number, _), result in zip(chosen, results, strict=True):
                heard[number] = f"{heard[number]} {result.text}".strip()
        return heard

    def _mel(self, waveform: np.ndarray) -> Any:
        padded = self._whisper.pad_or_trim(waveform.astype(np.float32), WINDOW)
        return self._whisper.log_mel_spectrogram(padded, self._model.dims.n_mels)


class HuggingFace:
    """A speech recogniser of the Hugging Face Hub or a folder, through transformers' pipeline."""

    def __init__(self, name: str) -> None:
        import torch
        from transformers import pipeline

        self.name = name
        try:
            self._pipe: Any = pipeline(
                "automatic-speech-recognition",
                model=name,
                device="cuda" if torch.cuda.is_available() else "cpu",
            )
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(
                f"the speech recogniser {name} cannot be loaded ({reason}): give --asr a Hugging Face id, a "
                "folder, or a Whisper .pt file"
            ) from error
        generation = getattr(self._pipe.model, "generation_config", None)
        self._multilingual = bool(getattr(generation, "is_multilingual", False))
        whisper = self._pipe.model.config.model_type == "whisper"
        self.language = "en" if whisper and not self._multilingual else None

    def transcribe(self, waveforms: Sequence[np.ndarray], language: str | None) -> list[str]:
        """See `Recogniser.transcribe`."""
        options = {"generate_kwargs": {"language": language}} if self._multilingual and language else {}
        inputs = [{"raw": waveform, "sampling_rate": RATE} for waveform in waveforms]
        return [found["text"].strip() for found in self._pipe(inputs, batch_size=BATCH, **options)]


def _pieces(waveform: np.ndarray) -> list[np.ndarray]:
    return [waveform[first : first + WINDOW] for first in range(0, max(len(waveform), 1), WINDOW)]


def _stack(mels: list[Any]) -> Any:
    import torch

    return torch.stack(mels)


def in_language(language: str | None, text: str, wanted: str | None) -> bool:
    """Return whether a row is in language `wanted` (None: any), by its column or its letters."""
    if wanted is None:
        return True
    if language is not None:
        return primary(language) == primary(wanted)
    return primary(wanted) != "en" or (text.isascii() and re.search("[A-Za-z]", text) is not None)


def primary(language: str) -> str:
    """Return `en` of `en-GB`."""
    return re.split("[-_]", language.lower())[0]


def unit(language: str | None, text: str) -> str:
    """Return what errors are counted in: word, or character if the language writes no spaces."""
    unspaced = primary(language) in UNSPACED if language else bool(re.search("[ぁ-ヿ一-鿿]", text))
    return "character" if unspaced else "word"


def count_errors(text: str, heard: str, language: str | None) -> Errors:
    """Compare after normalising both: case, punctuation and, in English, spellings and numbers."""
    import jiwer

    reference, hypothesis = (normalise(given, language) for given in (text, heard))
    if unit(language, text) == "character":
        reference, hypothesis = (" ".join(given.replace(" ", "")) for given in (reference, hypothesis))
    if not reference:
        return Errors(len(hypothesis.split()), 0)
    if not hypothesis:
        return Errors(len(reference.split()), len(reference.split()))
    found = jiwer.process_words(reference, hypothesis)
    return Errors(found.substitutions + found.deletions + found.insertions, len(reference.split()))


def normalise(text: str, language: str | None) -> str:
    """Return the text as Whisper's papers score it."""
    english = primary(language) == "en" if language else text.isascii()
    return str(_normaliser(english)(text)).strip()


@lru_cache(maxsize=2)
def _normaliser(english: bool) -> Any:
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer, EnglishTextNormalizer

    return EnglishTextNormalizer({}) if english else BasicTextNormalizer()  # type: ignore[no-untyped-call]
