"""Decodes a random sample of rows and compares it with the source; each row's figures are kept to resume."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.audio import quality as audio_quality
from pipeline.audio.decode import AudioError, resample
from pipeline.validate.listening import fidelity
from pipeline.validate.listening.packages import Score
from pipeline.validate.listening.recognise import Judge
from pipeline.validate.listening.row_log import RowLog
from pipeline.validate.listening.sample import Recordings, SampleRow

if TYPE_CHECKING:
    from pipeline.codec.protocol import Codec

CHUNK = 8  # rows in memory
Figures = dict[str, Any]  # of one row: see `Listener.measure`


@dataclass
class Listener:
    """What listens to a row; `name` tells apart whatever gives other figures."""

    codec: Codec
    recordings: Recordings
    scores: Sequence[Score]
    speech: Callable[[np.ndarray], float]
    judge: Judge | None = None
    name: str = ""

    def measure(self, rows: Sequence[SampleRow]) -> list[Figures]:
        """Measure some rows.

        Keys: row, id, text, language, digest (of the codes), and `problem` if the source cannot be
        decoded, else `sound`, `fidelity` (see those modules), `scores`, and if it was transcribed
        `unit`, and of `source` and `decoded`: `heard_…`, `errors_…`, and `length`.
        """
        measured: list[Figures] = []
        pairs: list[tuple[Figures, SampleRow, np.ndarray, np.ndarray]] = []
        for row in rows:
            figures: Figures = {
                "row": row.row,
                "id": row.id,
                "text": row.text,
                "language": row.language,
                "digest": digest(row.codes),
            }
            measured.append(figures)
            pair = self._compare(row, figures)
            if pair is not None:
                pairs.append((figures, row, *pair))
        self._transcribe(pairs)
        return measured

    def _compare(self, row: SampleRow, figures: Figures) -> tuple[np.ndarray, np.ndarray] | None:
        rate = self.codec.sample_rate
        if len(row.codes) == 0 or row.codes.min() < 0 or row.codes.max() >= self.codec.codebook_size:
            figures["problem"] = "its codes cannot be decoded"
            return None
        try:
            native, native_rate, source = self.recordings.load(row)
        except AudioError as error:
            figures["problem"] = f"its source cannot be decoded now: {error.detail}"
            return None
        decoded = decode_at_input_rate(self.codec, row.codes)
        heard = audio_quality.measure(native, native_rate, source, rate, self.speech)
        measured, source, decoded = fidelity.compare(source, decoded, rate)
        figures["sound"], figures["fidelity"] = dataclasses.asdict(heard), dataclasses.asdict(measured)
        figures["scores"] = {}
        for score in self.scores:
            figures["scores"] |= {name: round(value, 5) for name, value in score(source, decoded).items()}
        return source, decoded

    def _transcribe(self, pairs: list[tuple[Figures, SampleRow, np.ndarray, np.ndarray]]) -> None:
        judge = self.judge
        if judge is None:
            return
        chosen = [pair for pair in pairs if judge.knows(pair[1].language)]
        rows = [pair[1] for pair in chosen]
        for kind, waveforms in (("source", [p[2] for p in chosen]), ("decoded", [p[3] for p in chosen])):
            for (figures, *_), heard in zip(chosen, judge.hear(rows, waveforms, kind), strict=True):
                figures |= heard


def measure_sample(
    rows: Iterable[SampleRow],
    listener: Listener,
    log: Path,
    progress: Callable[[int], object] = lambda rows: None,
) -> list[Figures]:
    """Return the figures of every row, in the order given; those that `log` has already are taken from it."""
    found: list[Figures] = []
    with RowLog(log, listener.name) as known:
        for chunk in _chunks(rows):
            kept = {row.row: known.get(row.row, digest(row.codes)) for row in chunk}
            for figures in listener.measure([row for row in chunk if kept[row.row] is None]):
                known.add(figures)
                kept[figures["row"]] = figures
            found += [figures for figures in kept.values() if figures is not None]
            progress(len(chunk))
    return found


def decode_at_input_rate(codec: Codec, codes: np.ndarray) -> np.ndarray:
    """Decode (n,) codes to float32 (samples,) at the rate that the codec encodes.

    NeuCodec decodes at another.
    """
    import torch

    decoded = codec.decode([codes.astype(np.uint16)])[0]
    return resample(torch.from_numpy(decoded), codec.output_sample_rate, codec.sample_rate).numpy()


def digest(codes: np.ndarray) -> str:
    """Return 16 hex digits of a row's codes."""
    return hashlib.sha256(codes.astype("<i8").tobytes()).hexdigest()[:16]


def _chunks(rows: Iterable[SampleRow]) -> Iterator[list[SampleRow]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
