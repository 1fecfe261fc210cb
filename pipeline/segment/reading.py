"""Reads recordings ahead: a process decodes each, and a thread holds what the recogniser has not heard."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from queue import Empty, Full, Queue, SimpleQueue

from pipeline.audio.source import AudioSource
from pipeline.recognise.speech import RATE
from pipeline.segment.cutting import Piece
from pipeline.segment.decoding import PATIENCE, Decoder, End
from pipeline.segment.settings import SegmentSettings

HELD = 32  # pieces that are made ahead of the recogniser: at most 20 s each, mostly
POLL = 0.5  # seconds after which whoever waits looks whether it is still wanted


class RecordingReader:
    """A recording that is being read. `rate` (Hz) and `samples` are the source's, known at its end."""

    def __init__(self, audio: str, decoders: SimpleQueue[Decoder], unwanted: threading.Event) -> None:
        self.audio = audio
        self.rate, self.samples = RATE, 0
        self._made: Queue[Piece | BaseException | None] = Queue(HELD)
        self._unwanted = unwanted
        self._thread = threading.Thread(
            target=self._read, args=(decoders,), name=f"read {audio}", daemon=True
        )
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

    def join(self) -> None:
        """Wait for the thread's end."""
        self._thread.join()

    def _read(self, decoders: SimpleQueue[Decoder]) -> None:
        decoder = decoders.get()
        try:
            for made in decoder.decode(self.audio):
                if isinstance(made, End):
                    self.rate, self.samples = made.rate, made.samples
                elif not self._put(made):
                    return
            self._put(None)
        except BaseException as error:  # it is raised where the pieces are taken
            self._put(error)
        finally:
            decoders.put(decoder)

    def _put(self, made: Piece | BaseException | None) -> bool:
        while not self._unwanted.is_set():
            try:
                self._made.put(made, timeout=POLL)
            except Full:
                continue
            return True
        return False


def read_ahead(
    source: AudioSource,
    recordings: Iterable[str],
    settings: SegmentSettings,
    processes: int,
    patience: float = PATIENCE,
) -> Generator[RecordingReader]:
    """Yield a reader for each recording, in order, while `processes` of them are at work.

    A block of audio that takes a decoder longer than `patience`, in seconds, costs the recording.
    """
    waiting = iter(recordings)
    started: deque[RecordingReader] = deque()
    unwanted = threading.Event()
    everyone = [Decoder(source, settings, lambda: not unwanted.is_set(), patience) for _ in range(processes)]
    decoders: SimpleQueue[Decoder] = SimpleQueue()
    for decoder in everyone:
        decoders.put(decoder)
    try:
        while True:
            while len(started) < processes and (audio := next(waiting, None)) is not None:
                started.append(RecordingReader(audio, decoders, unwanted))
            if not started:
                return
            yield started[0]
            started.popleft().join()
    finally:
        unwanted.set()
        for reader in started:
            reader.join()
        for decoder in everyone:
            decoder.close()
