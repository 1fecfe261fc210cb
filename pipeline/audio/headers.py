"""Reads the headers of a corpus's recordings, a long one's only once though many utterances lie in it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from pipeline.audio.decode import AudioError, Probe, open_audio, probe
from pipeline.audio.source import AudioSource
from pipeline.utterance import Utterance

REMEMBERED = 64  # recordings; the segments of one follow each other
Version = tuple[str, int, int]  # locator, size, time


@dataclass
class Prober:
    """Reads headers; threads that ask for one recording at once wait for the first of them."""

    source: AudioSource
    _known: OrderedDict[Version, Probe | AudioError] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _busy: dict[Version, threading.Lock] = field(default_factory=dict)

    def __reduce__(self) -> tuple[type[Prober], tuple[AudioSource]]:
        return Prober, (self.source,)  # another process remembers recordings of its own

    def __call__(self, entry: Utterance, size: int, time: int) -> Probe:
        """Return the header of an entry's recording of this size and time.

        Raises AudioError.
        """
        if entry.start is None and entry.end is None:
            return self._read(entry.audio)
        found = self._recall((entry.audio, size, time))
        if isinstance(found, AudioError):
            raise AudioError(found.reason, found.detail)
        return found

    def _recall(self, version: Version) -> Probe | AudioError:
        with self._lock:
            busy = self._busy.setdefault(version, threading.Lock())
        with busy:
            with self._lock:
                if version in self._known:
                    return self._known[version]
            try:
                found: Probe | AudioError = self._read(version[0])
            except AudioError as error:
                found = error
            with self._lock:
                self._known[version] = found
                while len(self._known) > REMEMBERED:
                    self._busy.pop(self._known.popitem(last=False)[0], None)
            return found

    def _read(self, locator: str) -> Probe:
        with open_audio(self.source, locator) as file:
            return probe(file)
