"""The recordings that a dataset was made from: for publishing and exporting them with its rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipeline.audio.source import AudioSource
from pipeline.dataset.manifest import Manifest
from pipeline.dataset.reader import Dataset
from pipeline.errors import UsageError

CUT_SECONDS = 3600.0  # an utterance cut out of a recording is never as long, nor takes as long to decode
Span = tuple[float | None, float | None]  # seconds in a recording; None: its beginning, or its end


@dataclass(frozen=True)
class Flac:
    """A clip as a FLAC file: mono, 16 bit."""

    content: bytes
    rate: int  # Hz
    samples: int


class Recordings:
    """Reads from `source`, the audio of the dataset's corpus."""

    def __init__(self, dataset: Dataset, source: AudioSource) -> None:
        self._source = source
        self._manifest = Manifest(dataset.root / "manifest")
        self.spans = lru_cache(maxsize=1)(self._spans)  # a shard's rows come together

    def _spans(self, shard: int) -> dict[str, Span]:
        """Return, by id, where the utterances of a shard lie that are a part of a recording."""
        planned = self._manifest.shards[shard].read().select(["id", "start", "end"])
        return {
            row["id"]: (row["start"], row["end"])
            for row in planned.to_pylist()
            if row["start"] is not None or row["end"] is not None
        }

    def original(self, locator: str) -> bytes:
        """Return a file as it is. Raises UsageError if it cannot be read."""
        try:
            with self._source.open(locator) as file:
                return file.read()
        except OSError as error:
            raise _not_there(locator, error.strerror or str(error)) from error

    def flac(self, locator: str, span: Span = (None, None)) -> Flac:
        """Return a recording, or a part of it. Raises UsageError if it cannot be read."""
        from pipeline.audio.decode import AudioError, decode
        from pipeline.audio.encode import encoded

        start, end = span
        try:
            with self._source.open(locator) as recording:
                waveform, rate = decode(
                    recording, start=start, end=end, max_seconds=CUT_SECONDS, deadline_seconds=CUT_SECONDS
                )
        except (OSError, AudioError) as error:
            raise _not_there(locator, str(error)) from error
        return Flac(encoded(waveform.numpy(), rate, "FLAC"), rate, len(waveform))


def _not_there(locator: str, why: str) -> UsageError:
    return UsageError(f"cannot embed {locator}: {why}. Put it back, or leave out --embed-audio")


def open_source(dataset: Dataset, audio: str | Path | None = None) -> AudioSource:
    """Return the source of a dataset's recordings, `audio` if they were moved.

    Raises UsageError if the corpus is gone.
    """
    from pipeline.corpus import open_corpus

    return open_corpus(dataset.corpus(audio)).source
