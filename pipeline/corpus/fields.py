"""Finds the fields of an entry whatever they are called: CSV headers, JSON keys, dataset columns."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache, partial

from pipeline.config import CorpusSettings
from pipeline.corpus.entry import Entry, Malformed

# In order of preference. NeMo: audio_filepath, offset, duration. Common Voice: path, sentence, client_id,
# locale. Emilia: wav. Hugging Face audio folders: file_name, transcription.
NAMES = {
    "audio": (
        *("audio", "audio_filepath", "audio_path", "audio_file", "file_name", "filename", "file", "path"),
        *("wav", "wav_path", "wav_filename", "mp3"),
    ),
    "text": ("text", "sentence", "transcript", "transcription", "normalized_text", "text_normalized"),
    "id": ("id", "utt_id", "utterance_id", "utt", "key", "segment_id"),
    "speaker": ("speaker", "speaker_id", "speaker_name", "spk_id", "spk", "client_id"),
    "language": ("language", "lang", "locale"),
    "start": ("start", "start_time", "begin"),
    "end": ("end", "end_time"),
    "offset": ("offset",),
    "duration": ("duration",),
}
LONGEST = 1e7  # seconds, 115 days: no recording is longer
REMEMBERED = 1024  # sets of keys; rows of one file have few
HERE = "audio in this file"  # the name under which a row has the locator of audio that lies beside it


@dataclass(frozen=True, slots=True)
class Fields:
    """The name of each part of an entry; None if there is none."""

    audio: str | None
    text: str | None
    id: str | None
    speaker: str | None
    language: str | None
    start: str | None
    end: str | None
    offset: str | None
    duration: str | None

    @classmethod
    def of(cls, text: str, audio: str, **named: str | None) -> Fields:
        """Return fields of which those that are not named are missing."""
        return cls(**{each.name: None for each in fields(cls)} | {"text": text, "audio": audio, **named})

    @classmethod
    def choose(cls, names: Iterable[str], settings: CorpusSettings) -> Fields:
        """Choose names by the settings, else the usual ones in upper or lower case."""
        exact = {name: name for name in names if isinstance(name, str)}
        by_lower = {name.strip().lower(): name for name in reversed(exact)}
        chosen: dict[str, str | None] = {}
        for part in (each.name for each in fields(cls)):
            wanted = getattr(settings, f"{part}_column", None)
            usual = (by_lower[name] for name in NAMES[part] if name in by_lower)
            chosen[part] = exact.get(wanted) if wanted else next(usual, None)
        return cls(**chosen)

    @property
    def whole(self) -> Fields:
        """The same for rows that hold their audio: its locator, under `HERE`, is their id if they have none.

        Times are left out: such audio is cut already, and they tell where it came from.
        """
        return replace(self, audio=HERE, id=self.id or HERE, start=None, end=None, offset=None, duration=None)

    @property
    def suffice(self) -> bool:
        """Return whether they make an entry: a text, and audio or an id that names it."""
        return self.text is not None and (self.audio or self.id) is not None

    def entry(self, row: Mapping[str, object], where: str, near: str | None = None) -> Entry | Malformed:
        """Return the entry that a row states."""
        if not self.suffice:
            names = reprlib.repr(", ".join(map(str, row)) or "nothing")
            return Malformed(where, f"has {names}, but no text with an audio or id")
        assert self.text is not None
        text, identity = row.get(self.text), _plain(row, self.id)
        audio = row.get(self.audio) if self.audio else identity
        if isinstance(audio, Mapping):  # as the datasets library writes an Audio column
            audio = audio.get("path")
        if not isinstance(text, str):
            return Malformed(where, f"{self.text} is {reprlib.repr(text)}, not a text")
        if not isinstance(audio, str) or not audio.strip():
            return Malformed(
                where, f"{self.audio or self.id} is {reprlib.repr(audio)}, not the name of an audio file"
            )
        if self.id is not None and not (identity or "").strip():
            return Malformed(where, f"{self.id} is empty")
        try:
            start, end = self._times(row)
        except ValueError as error:
            return Malformed(where, str(error))
        speaker, language = _plain(row, self.speaker), _plain(row, self.language)
        return Entry(where, audio, text, identity, speaker or None, language or None, start, end, near)

    def _times(self, row: Mapping[str, object]) -> tuple[float | None, float | None]:
        start, end = _seconds(row, self.start), _seconds(row, self.end)
        offset = _seconds(row, self.offset)
        if start is None and offset is not None:  # a duration without offset describes the whole file
            duration = _seconds(row, self.duration)
            start, end = offset, None if duration is None else offset + duration
        if end is not None and end <= (start or 0.0):
            raise ValueError(f"ends at {end:g} s, before it starts at {start or 0:g} s")
        return (start or 0.0, end) if end is not None else (start, end)


def fields_of_rows(settings: CorpusSettings) -> Callable[[Mapping[str, object]], Fields]:
    """Return what tells the fields of a row, chosen once for all rows that have the same keys."""
    chosen = lru_cache(REMEMBERED)(partial(Fields.choose, settings=settings))
    return lambda row: chosen(tuple(row))


def plain(value: object) -> str | None:
    """Return a name or number as text; None for anything else."""
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else None


def _plain(row: Mapping[str, object], name: str | None) -> str | None:
    return None if name is None else plain(row.get(name))


def _seconds(row: Mapping[str, object], name: str | None) -> float | None:
    value = None if name is None else row.get(name)
    if value is None or value == "":
        return None
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} is {reprlib.repr(value)}, not a number of seconds") from None
    if not 0 <= seconds <= LONGEST:
        raise ValueError(f"{name} is {reprlib.repr(value)}, not a time in seconds")
    return seconds
