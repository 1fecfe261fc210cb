"""Decodes the recordings of a shard's rows, each once for all annotators that listen to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torchaudio  # noqa: F401 - which annotators want in threads, and threads must not import at once

from pipeline.annotate.blaming import measure_row
from pipeline.annotate.protocol import Annotator, ClipAnnotator, SpeechAnnotator
from pipeline.audio.decode import AudioError, decode, open_audio
from pipeline.audio.source import AudioSource
from pipeline.runtime import ahead, import_what_first_use_would

LONGEST = 3600.0  # seconds of a recording that are decoded
AHEAD = 2  # recordings decoded ahead of the device, a thread


@dataclass(frozen=True)
class Cut:
    """A row's columns but its codes, and the seconds between which it lies in its recording."""

    row: Mapping[str, Any]
    start: float | None
    end: float | None


@dataclass(frozen=True)
class Listener:
    """Gives the recordings of rows to all `annotators` that listen; `deadline`: seconds to decode one."""

    source: AudioSource
    annotators: Sequence[Annotator]
    deadline: float

    def figures(self, cuts: Sequence[Cut], threads: int) -> list[dict[str, Any]]:
        """Return the figures of each row by column; none of a recording that cannot be decoded now."""
        import_what_first_use_would()
        comparing = [one for one in self.annotators if isinstance(one, SpeechAnnotator)]
        found = []
        before = torch.get_num_threads()  # of this thread; each of the pool's has one
        try:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                heard = ahead(pool, self._hear, cuts, threads * (1 + AHEAD))
                for cut, (figures, recording) in zip(cuts, heard, strict=True):
                    if recording is not None:
                        for one in comparing:
                            figures |= measure_row(one, cut.row["id"], one.compare, *recording, cut.row)
                    found.append(figures)
        finally:
            torch.set_num_threads(before)
        return found

    def _hear(self, cut: Cut) -> tuple[dict[str, Any], tuple[np.ndarray, int] | None]:
        try:
            with open_audio(self.source, cut.row["audio"]) as file:
                decoded, rate = decode(
                    file, start=cut.start, end=cut.end, max_seconds=LONGEST, deadline_seconds=self.deadline
                )
        except AudioError:
            return {}, None
        waveform = decoded.numpy()
        return hear(self.annotators, waveform, rate, cut.row["id"]), (waveform, rate)


def hear(annotators: Iterable[Annotator], waveform: np.ndarray, rate: int, row: str) -> dict[str, Any]:
    """Return what those of `annotators` that hear find in a recording of the row with this id."""
    hearing = (one for one in annotators if isinstance(one, ClipAnnotator))
    found = [measure_row(one, row, one.hear, waveform, rate) for one in hearing]
    return {name: value for figures in found for name, value in figures.items()}
