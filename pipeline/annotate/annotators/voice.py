"""Who speaks: a speaker embedding of each recording, and whether it is the voice of the speaker's others.

The embeddings are Resemblyzer's (`pipeline.recognise.speaker`), which tell voices apart only roughly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch

from pipeline.annotate.files import read_annotations
from pipeline.annotate.protocol import Column, Rows, Values
from pipeline.audio.decode import resample
from pipeline.dataset.reader import Dataset
from pipeline.recognise.speaker import RATE, SIZE, SpeakerEncoder, load_speaker_encoder


class Voice:
    """The embedding itself, which `Speaker` compares."""

    name = "voice"
    version = 1
    settings: ClassVar[Mapping[str, Any]] = {"encoder": "Resemblyzer 0.1.4"}
    columns: ClassVar[Mapping[str, Column]] = {
        "voice": Column(pa.list_(pa.float32(), SIZE), "speaker embedding, a unit vector"),
    }

    def hear(self, waveform: np.ndarray, rate: int) -> Values:
        """See `ClipAnnotator.hear`."""
        clip = resample(torch.from_numpy(waveform), rate, RATE).numpy()
        return {"voice": self._encoder.embed(clip).round(4)}

    @cached_property
    def _encoder(self) -> SpeakerEncoder:
        return load_speaker_encoder("the annotator voice")


class Speaker:
    """How like a recording's voice is to the mean of its speaker's other recordings.

    Rows that name no speaker are compared with one another: a corpus of one voice often names none.
    """

    name = "speaker"
    version = 1
    settings: ClassVar[Mapping[str, Any]] = {**Voice.settings, "voice": Voice.version}
    columns: ClassVar[Mapping[str, Column]] = {
        "speaker_similarity": Column(
            pa.float32(),
            "cosine similarity of the voice to the speaker's other rows, -1 to 1; null: there are none",
        ),
    }

    def __init__(self) -> None:
        self._found = np.empty(0)

    def prepare(self, dataset: Dataset) -> None:
        """See `DatasetAnnotator.prepare`: reads the embeddings twice, and keeps one sum a speaker."""
        sums: defaultdict[str | None, np.ndarray] = defaultdict(lambda: np.zeros(SIZE))
        for speaker, voice in _voices(dataset):
            sums[speaker] += voice
        self._found = np.array(
            [_similarity(voice, sums[speaker] - voice) for speaker, voice in _voices(dataset)]
        )

    def annotate(self, rows: Rows) -> Values:
        """See `RowAnnotator.annotate`."""
        found = self._found[rows.first_row : rows.first_row + len(rows.table)]
        return {"speaker_similarity": found.round(4)}


def _voices(dataset: Dataset) -> Iterator[tuple[str | None, np.ndarray]]:
    """Yield each row's speaker and embedding, float64 (SIZE,); zeros if there is none."""
    for state, figures in zip(dataset.states(), read_annotations(dataset, Voice.name), strict=True):
        named = "speaker" in state.columns
        speakers = dataset.table(state.shard, ["speaker"])["speaker"].to_pylist() if named else None
        for place, voice in enumerate(figures["voice"]):
            heard = voice.values.to_numpy() if voice.is_valid else np.zeros(SIZE)
            yield speakers[place] if speakers else None, heard.astype(np.float64)


def _similarity(voice: np.ndarray, others: np.ndarray) -> float:
    """Return the cosine between a unit vector and a sum of them; NaN if either is nothing."""
    length = np.linalg.norm(voice) * np.linalg.norm(others)
    return float(voice @ others / length) if length > 0.01 else np.nan
