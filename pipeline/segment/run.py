"""Segments a folder of recordings: the one place that knows every stage."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.audio.decode import AudioError
from pipeline.audio.remote_source import source_of
from pipeline.audio.source import AudioSource
from pipeline.corpus.audio_index import AudioIndex
from pipeline.errors import UsageError
from pipeline.progress import Progress, plural
from pipeline.recognise.ctc import CtcModel, Emissions
from pipeline.recognise.loading import open_recogniser
from pipeline.recognise.recogniser import Recogniser
from pipeline.recognise.speaker import SpeakerEncoder
from pipeline.recognise.speech import RATE, load_network
from pipeline.runtime import pick_device
from pipeline.segment.author import Author
from pipeline.segment.clips import write_clips
from pipeline.segment.folder import CLIPS, Outcome, PreparedFolder, Recording
from pipeline.segment.listening import Listener, Transcribed
from pipeline.segment.reading import RecordingReader, read_ahead
from pipeline.segment.records import Left, Omission, Segment
from pipeline.segment.settings import SegmentSettings
from pipeline.segment.texts import Texts, find_texts
from pipeline.segment.voices import load_speaker_encoder, voices
from pipeline.storage.claims import Rank, claimed, claimed_rank
from pipeline.storage.paths import resolve_path

CACHE_BYTES = 20_000_000_000  # of recordings from an object store


def segment_recordings(
    recordings: str,
    output: str,
    settings: SegmentSettings,
    *,
    ext: str | None = None,
    device: str = "auto",
    processes: int = 2,
    rank: Rank | None = None,
    say: Callable[[str], object] = print,
) -> dict[str, Any]:
    """Segment every recording below a folder, or go on with it; return the totals of the folder `output`.

    Recordings are decoded ahead in `processes`. With a `rank`, other runs do the other parts. Raises
    UsageError for settings that cannot be, PipelineError for a disk that fails.
    """
    folder = resolve_path(recordings)
    if not folder.is_dir():
        raise UsageError(f"there is no folder of recordings {folder}")
    source = source_of(folder, None, CACHE_BYTES)
    index = AudioIndex(folder, ext, source)
    if not index:
        raise UsageError(f"there are no recordings in {folder}")
    root = resolve_path(output)
    texts = find_texts(settings.align, index)
    with ExitStack() as held:
        claim = held.enter_context(claimed_rank(root, rank, say) if rank else claimed(root))
        prepared = PreparedFolder(root, settings, rank)
        if claim is None or claim.first:
            prepared.plan(index, source, texts.checksum)
        else:
            prepared.read_plan()
        if claim is not None:
            claim.planned()
        left = prepared.left()
        total = sum(map(len, prepared.parts))
        parts = plural(len(prepared.parts), "part")
        say(f"{root}: {plural(total, 'recording')} in {parts}, {len(left):,} to do")
        if left:
            _Run(prepared, source, texts, device, processes).work(left)
        if others := prepared.finish():
            say(f"{rank}: {plural(others, 'part')} left to other processes or a run without --part")
        return {**prepared.totals(), "parts_left": others}


@dataclass
class _Part:
    """A part of a recording: what was heard, its times in seconds of the source, and its voice."""

    found: Transcribed
    start: float
    end: float
    embedding: np.ndarray | None
    sound: Emissions | None


class _Run:
    """What all recordings of a run share."""

    def __init__(
        self, prepared: PreparedFolder, source: AudioSource, texts: Texts, device: str, processes: int
    ) -> None:
        settings = prepared.settings
        self._prepared, self._source, self._texts, self._processes = prepared, source, texts, processes
        load_network()  # which decoding needs: whether it is there is known at once
        self._encoder: SpeakerEncoder | None = load_speaker_encoder() if settings.speakers else None

        self._aligner: CtcModel | None = None
        if settings.aligner is not None:
            self._aligner = CtcModel(settings.aligner, pick_device(device), settings.bf16)

        def opened(name: str) -> Recogniser:
            return open_recogniser(name, device, settings.bf16)

        second = None if settings.agree is None else opened(settings.agree)
        self._listener = Listener(opened(settings.asr), second, settings)

    def work(self, left: list[tuple[int, int, Recording]]) -> None:
        """Segment the recordings, and finish each part with its last one."""
        names = [recording.audio for _, _, recording in left]
        readers = read_ahead(self._source, names, self._prepared.settings, self._processes)
        with Progress("segmenting", len(left), "recording") as progress:
            try:
                for (number, place, recording), reader in zip(left, readers, strict=True):
                    outcome = self._outcome(reader, progress)
                    if self._prepared.settings.cut:
                        folder = self._prepared.root / CLIPS / recording.audio
                        write_clips(folder, self._source, outcome.segments)
                    self._prepared.keep(number, place, outcome)
                    rejected = not outcome.segments
                    progress.advanced(not rejected, rejected, 0.0)
                    if place + 1 == len(self._prepared.parts[number]):
                        self._prepared.finish_part(number)
            finally:
                readers.close()

    def _outcome(self, reader: RecordingReader, progress: Progress) -> Outcome:
        audio, parts = reader.audio, list[_Part]()
        author = Author(self._texts.of(audio), self._aligner, self._prepared.settings)
        try:
            for part in self._heard(reader, author, progress):
                parts.append(part)
        except AudioError as error:
            return Outcome(0.0, [], [Omission(audio, error.reason, error.detail)])
        seconds = reader.samples / reader.rate
        if not parts:
            return Outcome(seconds, [], [Omission(audio, Left.NO_SPEECH, "no speech is heard in it")])
        kept = [part for part in parts if part.found.reason is None]
        omissions = [self._omission(audio, part) for part in parts if part.found.reason is not None]
        segments = [self._segment(audio, part, reader.samples / reader.rate) for part in kept]
        if self._prepared.settings.align is not None:
            segments, more = author.words_of(audio, segments, [part.sound for part in kept])
            omissions += more
        return Outcome(seconds, self._named(kept, segments), omissions)

    def _heard(self, reader: RecordingReader, author: Author, progress: Progress) -> Iterator[_Part]:
        """Yield the parts of a recording as they are transcribed; their audio is let go of."""
        done = 0.0
        for batch in self._listener.listen(reader.pieces()):
            for found in batch:
                piece, nothing = found.piece, np.zeros(0, np.float32)
                start, end = (_seconds(at, reader.rate) for at in (piece.start, piece.end))
                embedding = sound = None
                if found.reason is None:
                    embedding = self._encoder.embed(piece.waveform) if self._encoder else None
                    sound = author.hear(piece.waveform, found.heard.language)
                let_go = replace(found, piece=replace(piece, waveform=nothing))
                yield _Part(let_go, start, end, embedding, sound)
            progress.advanced(0, 0, end - done)
            done = end

    def _segment(self, audio: str, part: _Part, seconds: float) -> Segment:
        heard, confidence = part.found.heard, part.found.heard.confidence
        return Segment(
            audio,
            part.start,
            min(part.end, seconds),
            " ".join(heard.text.split()),
            heard.language,
            None if confidence is None else round(confidence, 4),
        )

    def _omission(self, audio: str, part: _Part) -> Omission:
        found = part.found
        assert found.reason is not None
        text = found.heard.text or None
        return Omission(audio, found.reason, found.detail, part.start, part.end, text)

    def _named(self, parts: list[_Part], segments: list[Segment]) -> list[Segment]:
        """Return the segments with the labels of their voices."""
        by_start = {part.start: part.embedding for part in parts if part.embedding is not None}
        if not by_start:
            return segments
        labels = voices([by_start[each.start] for each in segments])
        return [
            replace(each, speaker=f"{each.audio}/{label}")
            for each, label in zip(segments, labels, strict=True)
        ]


def _seconds(position: int, rate: int) -> float:
    """Return the time of the source's sample that is at a position, in samples at 16 kHz."""
    return math.floor(position * rate / RATE) / rate


def summary(totals: dict[str, Any], root: Path) -> list[str]:
    """Return the lines that a run ends with."""
    hours, kept = totals.get("seconds", 0.0) / 3600, totals.get("kept_seconds", 0.0) / 3600
    lines = [
        f"{root}: {plural(totals.get('segments', 0), 'segment')}, {kept:.2f} hours of {hours:.2f} in "
        f"{plural(totals.get('recordings', 0), 'recording')}"
    ]
    if totals["languages"]:
        spoken = ", ".join(f"{name} {seconds / 3600:.2f} h" for name, seconds in totals["languages"].items())
        lines.append(f"languages: {spoken}")
    if totals["omitted"]:
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in totals["omitted"].items())
        lines.append(f"left out: {reasons}; each with its reason in {root / 'rejected'}")
    return lines
