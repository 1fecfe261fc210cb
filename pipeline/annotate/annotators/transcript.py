"""What a recogniser hears in each recording, how sure it is, and how far that is from the text."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch

from pipeline.annotate.protocol import Column, Values
from pipeline.audio.decode import resample
from pipeline.pretrained.identity import identity
from pipeline.recognise.error_rate import count_errors
from pipeline.recognise.languages import knows, whisper_code
from pipeline.recognise.loading import open_recogniser
from pipeline.recognise.recogniser import RATE, Heard, Recogniser
from pipeline.recognise.text_language import SURE, detect


class Transcript:
    """One recording at a time, so that what is heard in it does not depend on the others.

    `asr` names the recogniser as `open_recogniser` does; `language` is that of rows that name none. Without,
    their texts tell it where the package lingua is there and sure. A row in a language that the recogniser
    does not know gets no figures: it is not blamed for what was not understood.
    """

    name = "transcript"
    version = 1
    columns: ClassVar[Mapping[str, Column]] = {
        "transcript": Column(pa.string(), "what a recogniser hears; null: it does not know the language"),
        "transcript_confidence": Column(pa.float32(), "geometric mean of its tokens' probabilities, 0 to 1"),
        "wer": Column(
            pa.float32(),
            "errors in what it hears, of the text's words (characters, where a language writes no spaces)",
        ),
        "cer": Column(pa.float32(), "errors in what it hears, of the text's characters, spaces left out"),
        "speech_language": Column(
            pa.string(), "language that it hears, ISO 639-1; null: it knows but one, or does not tell"
        ),
    }

    def __init__(self, asr: str, language: str | None = None, device: str = "auto") -> None:
        self._asr, self._language, self._device = asr, language, device
        self._reads = language is None and importlib.util.find_spec("lingua") is not None
        self.settings: Mapping[str, Any] = {
            "recogniser": identity(asr),
            "language": language,
            "language_from_text": self._reads,
        }

    def compare(self, waveform: np.ndarray, rate: int, row: Mapping[str, Any]) -> Values:
        """See `SpeechAnnotator.compare`."""
        clip = resample(torch.from_numpy(waveform), rate, RATE).numpy()
        language = row.get("language") or self._language or self._read(row["text"])
        only = self._recogniser.language
        spoken = self._transcribe(clip, None) if only is None else None
        found: dict[str, Any] = dict.fromkeys(self.columns)
        if spoken is not None:
            found["speech_language"] = spoken.language
        if knows(only, language):
            code = language and whisper_code(language)
            as_heard = spoken is not None and (code is None or spoken.language in (None, code))
            heard = spoken if spoken is not None and as_heard else self._transcribe(clip, code)
            found["transcript"] = heard.text
            found["transcript_confidence"] = None if heard.confidence is None else round(heard.confidence, 4)
            for name, by in (("wer", None), ("cer", "character")):
                found[name] = round(count_errors(row["text"], heard.text, language, by).rate, 4)
        return found

    @cached_property
    def _recogniser(self) -> Recogniser:
        return open_recogniser(self._asr, self._device)

    def _transcribe(self, clip: np.ndarray, language: str | None) -> Heard:
        return self._recogniser.transcribe([clip], language)[0]

    def _read(self, text: str) -> str | None:
        if not self._reads:
            return None
        language, likely = detect(text)
        return language if likely >= SURE else None
