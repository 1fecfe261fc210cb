"""Reads recordings ahead, each in a thread: decoding and finding speech let go of Python's lock."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from queue import Empty, Full, Queue

from pipeline.audio.decode import open_audio
from pipeline.audio.source import AudioSource
from pipeline.audio.stream import open_stream
from pipeline.recognise.speech import RATE, Network
from pipeline.segment.cutting import Piece, cut_stream
from pipeline.segment.settings import SegmentSettings

HELD = 32  # pieces that a thread makes ahead of the recogniser: at most 20 s each, mostly
POLL = 0.5  # seconds after which a thread that waits looks whether it is still wanted


class RecordingReader:
    """A recording that is being read. `rate` (Hz) and `samples` are the source's, known at its end."""

    def __init__(self, source: AudioSource, audio: str, network: Network, settings: SegmentSettings) -> None:
        self.audio = audio
        self.rate, self.samples = RATE, 0
        self._made: Queue[Piece | BaseException | None] = Queue(HELD)
        self._unwanted = threading.Event()
        arguments = (source, network, settings)
        self._thread = threading.Thread(target=self._read, args=arguments, name=f"read {audio}", daemon=True)
        self._thread.start()

    def pieces(self) -> Iterator[Piece]:
        """Yield the pieces. Raises AudioError if the recording cannot be read to its end."""
        while True:
            try:
                made = self._made.get(timeout=POLL)
            except Empty:  # waiting without an end would not let an interrupt through on every system
                continue
            if made is None:
                return
            if isinstance(made, BaseException):
                raise made
            yield made

    def close(self) -> None:
        """End the thread."""
        self._unwanted.set()
        self._thread.join()

    def _read(self, source: AudioSource, network: Network, settings: SegmentSettings) -> None:
        try:
            with open_audio(source, self.audio) as file, open_stream(file, RATE) as stream:
                self.rate = stream.rate
                for piece in cut_stream(stream.blocks, network, settings):
                    if not self._put(piece):
                        return
                self.samples = stream.samples
            self._put(None)
        except BaseException as error:  # it is raised where the pieces are taken
            self._put(error)

    def _put(self, made: Piece | BaseException | None) -> bool:
        while not self._unwanted.is_set():
            try:
                self._made.put(made, timeout=POLL)
            except Full:
                continue
            return True
        return False


def read_ahead(
    source: AudioSource, recordings: Iterable[str], network: Network, settings: SegmentSettings, threads: int
) -> Generator[RecordingReader]:
    """Yield a reader for each recording, in order, while `threads` of them are at work."""
    waiting = iter(recordings)
    started: deque[RecordingReader] = deque()
    try:
        while True:
            while len(started) < threads and (audio := next(waiting, None)) is not None:
                started.append(RecordingReader(source, audio, network, settings))
            if not started:
                return
            yield started[0]
            started.popleft().close()
    finally:
        for reader in started:
            reader.close()
