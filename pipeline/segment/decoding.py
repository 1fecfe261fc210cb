"""Decodes recordings and finds their speech in a child process, which a decoder may take down or hold up.

The child answers the name of a recording with its pieces and, a block of audio each, with a sign of life.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import numpy as np

from pipeline.audio.decode import AudioError, open_audio
from pipeline.audio.source import AudioSource
from pipeline.audio.stream import open_stream
from pipeline.errors import PipelineError
from pipeline.loader.crash_triage import FAULTS, GRACE, POLL, SERVER_GONE, TRIES, AwakeClock, wake
from pipeline.loader.processes import fork_server
from pipeline.loader.worker import init_worker
from pipeline.recognise.speech import RATE, Network, load_network
from pipeline.segment.cutting import Piece, cut_stream
from pipeline.segment.settings import SegmentSettings
from pipeline.utterance import Reason

OPENING = 3600.0  # seconds that opening may take: a recording in an object store is fetched first
PATIENCE = 60.0  # seconds that a block of audio may take


@dataclass(frozen=True)
class End:
    """A recording's sample rate (Hz) and length in samples, when all of it is decoded."""

    rate: int
    samples: int


class _Alive:
    """A block of audio is decoded, or the recording is open."""


Message = Piece | End | _Alive | Exception


class _Lost(Exception):
    """The child ended; `blame`: by a fault of the decoder's."""

    def __init__(self, blame: bool) -> None:
        super().__init__(blame)
        self.blame = blame


class Decoder:
    """A child process that decodes one recording after another; `wanted` says whether to go on."""

    def __init__(
        self,
        source: AudioSource,
        settings: SegmentSettings,
        wanted: Callable[[], bool],
        patience: float = PATIENCE,
    ) -> None:
        self._source, self._settings, self._wanted = source, settings, wanted
        self._patience = patience
        self._child: tuple[BaseProcess, Connection] | None = None

    def decode(self, audio: str) -> Iterator[Piece | End]:
        """Yield the pieces of a recording and its End, or less if it is not wanted any more.

        Raises AudioError, also where the recording takes the child down or holds it up.
        """
        given = 0
        for _ in range(TRIES):
            try:
                for number, made in enumerate(self._answers(audio)):
                    if number == given:  # a child lost in between is followed by one that begins again
                        given += 1
                        yield made
                return
            except _Lost as lost:
                if lost.blame:
                    raise AudioError(Reason.DECODER_CRASHED, "its decoder took its process down") from lost
        detail = f"{TRIES} processes were killed while decoding it: is memory short?"
        raise AudioError(Reason.DECODER_CRASHED, detail)

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            process, connection = self._child
            self._child = None
            process.kill()
            process.join()
            connection.close()

    def _answers(self, audio: str) -> Iterator[Piece | End]:
        process, connection = self._child = self._child or self._start()
        finished = False
        try:
            connection.send(audio)
            patience = OPENING
            while self._wait(process, connection, patience):
                message: Message = connection.recv()
                patience = self._patience
                finished = isinstance(message, End | Exception)
                if isinstance(message, Exception):
                    raise message
                if not isinstance(message, _Alive):
                    yield message
                if finished:
                    return
        except (EOFError, OSError) as error:
            process.join()
            code = process.exitcode or 0
            raise _Lost(-code in FAULTS or 0 < code < SERVER_GONE) from error
        finally:
            if not finished:
                self.close()

    def _wait(self, process: BaseProcess, connection: Connection, patience: float) -> bool:
        """Return whether a message came before nobody wanted it. Raises AudioError when patience ends."""
        clock = AwakeClock()
        while not connection.poll(POLL):
            if not self._wanted():
                return False
            if clock.read() > patience + GRACE:
                detail = f"its decoder hung for more than {patience:g} s"
                raise AudioError(Reason.DECODE_TIMEOUT, detail)
            if clock.read() > patience:
                wake(process)
        return True

    def _start(self) -> tuple[BaseProcess, Connection]:
        context = fork_server()
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._source, self._settings), daemon=True)
        process.start()
        theirs.close()
        return process, ours


def _serve(connection: Connection, source: AudioSource, settings: SegmentSettings) -> None:
    """Answer names with what is in the recordings, until nobody asks."""
    init_worker()
    network = load_network()
    while True:
        try:
            audio = connection.recv()
        except EOFError:
            return
        try:
            _answer(connection, audio, source, network, settings)
        except BrokenPipeError:
            return
        except AudioError as error:
            connection.send(error)
        except Exception as error:
            connection.send(error if isinstance(error, PipelineError) else PipelineError(repr(error)))


def _answer(
    connection: Connection, audio: str, source: AudioSource, network: Network, settings: SegmentSettings
) -> None:
    def blocks() -> Iterator[np.ndarray]:
        for block in stream.blocks:
            connection.send(_Alive())
            yield block

    with open_audio(source, audio) as file, open_stream(file, RATE) as stream:
        connection.send(_Alive())
        for piece in cut_stream(blocks(), network, settings):
            connection.send(piece)
        connection.send(End(stream.rate, stream.samples))
