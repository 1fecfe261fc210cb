"""Hears sampled speech, and judges it by its text where the recogniser knows the text's language."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.pretrained.identity import identity
from pipeline.recognise.error_rate import count_errors, unit
from pipeline.recognise.languages import knows, languages, whisper_code
from pipeline.recognise.loading import GET_WHISPER, open_recogniser
from pipeline.recognise.recogniser import Recogniser
from pipeline.runtime import find_file
from pipeline.validate.listening.packages import INSTALL, Missing
from pipeline.validate.listening.sample import SampleRow

PURPOSE = "word and character error rates"
KNOWS_MOST = "openai/whisper-large-v3-turbo"


@dataclass(frozen=True)
class Judge:
    """A recogniser that judges rows in the languages it knows.

    `language`: the only one that it is asked for, which it is then trusted to know; `name` tells it from
    others, by its content.
    """

    recogniser: Recogniser
    name: str
    language: str | None = None

    def knows(self, language: str | None) -> bool:
        """Return whether it can judge a row in this language; None if nobody knows it."""
        if self.language is not None and not knows(self.language, language):
            return False
        return knows(self.recogniser.language or self.language, language)

    def hear(self, rows: Sequence[SampleRow], waveforms: Sequence[np.ndarray], kind: str) -> list[Any]:
        """Return, for rows in languages it knows: `heard_KIND`, `errors_KIND`, `length` and their `unit`.

        `waveforms`: float32 (samples,) at 16 kHz; nothing is heard in an empty one.
        """
        figures: list[dict[str, Any]] = [{} for _ in rows]
        for language in dict.fromkeys(row.language for row in rows):
            chosen = [n for n, row in enumerate(rows) if row.language == language and len(waveforms[n])]
            code = None if language is None else whisper_code(language)
            heard = self.recogniser.transcribe([waveforms[n] for n in chosen], code) if chosen else []
            for number, words in zip(chosen, heard, strict=True):
                figures[number][f"heard_{kind}"] = words.text
        for row, found in zip(rows, figures, strict=True):
            errors = count_errors(row.text, found.setdefault(f"heard_{kind}", ""), row.language)
            found |= {f"errors_{kind}": errors.edits, "length": errors.length}
            found["unit"] = unit(row.language, row.text)
        return figures

    def notes(self, rows: Sequence[SampleRow]) -> list[str]:
        """Say, language by language, of which rows the words are not judged, and what would judge them."""
        unknown = Counter(row.language for row in rows if not self.knows(row.language))
        return [
            f"The words of {count:,} of {len(rows):,} sampled rows were not judged: the recogniser "
            f"{self.recogniser.name} does not know {_spelled(language)}. {_advice(language)}"
            for language, count in unknown.most_common()
        ]


def find_judge(name: str | None, language: str | None) -> tuple[Judge | None, list[Missing]]:
    """Open the recogniser that `name` names, or return what is missing for it.

    Raises UsageError if it cannot be loaded.
    """
    if name is None:
        return None, []
    if importlib.util.find_spec("jiwer") is None:
        return None, [Missing("jiwer", PURPOSE, INSTALL.format("jiwer"))]
    if Path(name).suffix == ".pt" and (
        find_file(name) is None or importlib.util.find_spec("whisper") is None
    ):
        how = f"{GET_WHISPER}, then {INSTALL.format('openai-whisper')}"
        return None, [Missing(f"the recogniser {name}", PURPOSE, how)]
    return Judge(open_recogniser(name), identity(name), language), []


def _spelled(language: str | None) -> str:
    if language is None:
        return "a language that nothing names"
    code = whisper_code(language)
    return language if code is None else f"{languages()[code].title()} ({language})"


def _advice(language: str | None) -> str:
    if language is None:
        return "Name it with --set validation.asr_language=…, or install lingua-language-detector."
    if whisper_code(language) is not None:
        return f"--asr {KNOWS_MOST} does."
    return f"Give --asr one that does, and --set validation.asr_language={language}."
