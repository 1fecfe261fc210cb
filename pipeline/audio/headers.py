"""Looks at a corpus's recordings, at a long one only once though many utterances lie in it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from pipeline.audio.decode import AudioError, Probe, open_audio, probe
from pipeline.audio.source import AudioSource
from pipeline.utterance import Utterance

REMEMBERED = 64  # recordings; the segments of one follow each other
Version = tuple[int, int]  # size in bytes, modification time in ns


@dataclass
class Recording:
    """A recording in its version, as it was met; its header is read when it is asked for."""

    source: AudioSource
    locator: str
    version: Version
    _header: Probe | AudioError | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def header(self) -> Probe:
        """Return its header; threads that ask at once wait for the first of them. Raises AudioError."""
        found = self._header or self._read()
        if isinstance(found, AudioError):
            raise AudioError(found.reason, found.detail)
        return found

    def _read(self) -> Probe | AudioError:
        with self._lock:
            if self._header is None:
                try:
                    with open_audio(self.source, self.locator) as file:
                        self._header = probe(file)
                except AudioError as error:
                    self._header = error
            return self._header


@dataclass
class Prober:
    """The recordings of a source; those with segments are remembered for a while."""

    source: AudioSource
    _known: dict[str, Recording] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __reduce__(self) -> tuple[type[Prober], tuple[AudioSource]]:
        return Prober, (self.source,)  # another process remembers recordings of its own

    def __call__(self, entry: Utterance) -> Recording:
        """Return an entry's recording. Raises as `AudioSource.stat` does."""
        is_whole = entry.start is None and entry.end is None
        found = None if is_whole else self._known.get(entry.audio)
        if found is None:
            found = Recording(self.source, entry.audio, self.source.stat(entry.audio))
            if not is_whole:
                found = self._remembered(found)
        return found

    def _remembered(self, recording: Recording) -> Recording:
        """Return the recording that is remembered for this one's locator: this one, if there is no other."""
        with self._lock:
            if len(self._known) >= REMEMBERED:
                del self._known[next(iter(self._known))]
            return self._known.setdefault(recording.locator, recording)
