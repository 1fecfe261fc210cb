"""Lets a LLASA model say texts of the dataset, and judges them as the dataset's own speech is judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.validate.listening.recognise import Judge
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
    judge: Judge | None,
    log: Path,
    name: str,
    progress: Callable[[int], object] = lambda rows: None,
) -> list[Figures]:
    """Return figures of each row: row, id, codes, ended, duration_ratio (to the row's codes).

    If it was judged, also errors_spoken, length, unit and heard_spoken. `name` tells models apart in
    `log`.
    """
    found: list[Figures] = []
    with RowLog(log, name) as known:
        for first in range(0, len(rows), BATCH):
            chunk = rows[first : first + BATCH]
            new = [row for row in chunk if known.get(row.row, digest(row.codes)) is None]
            for spoken in _speak(new, speak, judge) if new else []:
                known.add(spoken)
            kept = (known.get(row.row, digest(row.codes)) for row in chunk)
            found += [figures for figures in kept if figures is not None]
            progress(len(chunk))
    return found


def _speak(rows: Sequence[SampleRow], speak: Speak, judge: Judge | None) -> list[Figures]:
    said = speak([row.text for row in rows])
    found: list[Figures] = [
        {
            "row": row.row,
            "id": row.id,
            "text": row.text,
            "digest": digest(row.codes),
            "codes": one.codes.tolist(),
            "ended": one.ended,
            "duration_ratio": len(one.codes) / max(len(row.codes), 1),
        }
        for row, one in zip(rows, said, strict=True)
    ]
    known = [] if judge is None else [n for n, row in enumerate(rows) if judge.knows(row.language)]
    if judge is not None:
        heard = judge.hear([rows[n] for n in known], [said[n].waveform for n in known], "spoken")
        for number, figures in zip(known, heard, strict=True):
            found[number] |= figures
    return found
