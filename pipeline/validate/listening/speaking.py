"""Lets a LLASA model say texts of the dataset, and judges them as the dataset's own speech is judged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.recognise.error_rate import count_errors, in_language
from pipeline.recognise.recogniser import Recogniser
from pipeline.validate.listening.round_trip import Figures, digest
from pipeline.validate.listening.row_log import RowLog
from pipeline.validate.listening.sample import SampleRow

BATCH = 8  # texts spoken at once


@dataclass(frozen=True)
class Said:
    """What a model made of a text: `waveform`, float32 (samples,) at 16 kHz; `codes`, uint16 (n,)."""

    waveform: np.ndarray
    codes: np.ndarray
    ended: bool  # by itself, not at the length limit


Speak = Callable[[Sequence[str]], list[Said]]


def speak_rows(
    rows: Sequence[SampleRow],
    speak: Speak,
    recogniser: Recogniser | None,
    language: str | None,
    log: Path,
    name: str,
    progress: Callable[[int], object] = lambda rows: None,
) -> list[Figures]:
    """Return figures of each row: row, id, codes, ended, duration_ratio (to the row's codes).

    If it was transcribed, also errors_spoken, length and heard_spoken. `name` tells models apart in
    `log`.
    """
    found: list[Figures] = []
    with RowLog(log, name) as known:
        for first in range(0, len(rows), BATCH):
            chunk = rows[first : first + BATCH]
            new = [row for row in chunk if known.get(row.row, digest(row.codes)) is None]
            for spoken in _speak(new, speak, recogniser, language) if new else []:
                known.add(spoken)
            kept = (known.get(row.row, digest(row.codes)) for row in chunk)
            found += [figures for figures in kept if figures is not None]
            progress(len(chunk))
    return found


def _speak(
    rows: Sequence[SampleRow], speak: Speak, recogniser: Recogniser | None, language: str | None
) -> list[Figures]:
    found: list[Figures] = []
    for row, said in zip(rows, speak([row.text for row in rows]), strict=True):
        figures: Figures = {
            "row": row.row,
            "id": row.id,
            "text": row.text,
            "digest": digest(row.codes),
            "codes": said.codes.tolist(),
            "ended": said.ended,
            "duration_ratio": len(said.codes) / max(len(row.codes), 1),
        }
        wanted = language or (recogniser.language if recogniser else None)
        if recogniser is not None and in_language(row.language, row.text, wanted):
            heard = recogniser.transcribe([said.waveform], row.language)[0].text if len(said.waveform) else ""
            errors = count_errors(row.text, heard, row.language)
            figures |= {"heard_spoken": heard, "errors_spoken": errors.edits, "length": errors.length}
        found.append(figures)
    return found


def model_name(path: str) -> str:
    """Return a name that changes when a model folder's files do."""
    folder = Path(path)
    if not folder.is_dir():
        return path
    files = sorted((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in folder.iterdir() if f.is_file())
    return f"{path} {hashlib.sha256(json.dumps(files).encode()).hexdigest()[:12]}"
