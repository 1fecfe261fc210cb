"""Decodes again, in a disposable process, a clip at which a worker was lost."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any

from pipeline.errors import PipelineError
from pipeline.loader.batch import Request
from pipeline.loader.processes import fork_server
from pipeline.loader.worker import ClipLoader, Work, load_alone
from pipeline.utterance import Clip, Reason, Rejection

POLL = 1.0  # seconds between looks at a process
GRACE = 10.0  # seconds past its deadline until a decode counts as hung: it looks at the clock between blocks
MAX_LOSSES = 3  # pools lost in a row without a clip to blame and without a batch
TRIES = 4  # processes that a clip may lose to others, such as the kernel when memory is short
FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL}  # a decoder's own
SERVER_GONE = 255  # exit status of a process whose fork server was killed


class AwakeClock:
    """Seconds that this process ran: however long it was stopped (Ctrl-Z), a reading adds 2 POLL at most."""

    def __init__(self) -> None:
        self._last, self._seconds = time.monotonic(), 0.0

    def read(self) -> float:
        """Return the seconds; to be read once a POLL."""
        now = time.monotonic()
        self._seconds += min(now - self._last, 2 * POLL)
        self._last = now
        return self._seconds


@dataclass(frozen=True)
class Lost:
    """A pool that cannot go on: rows by what happened to the worker that was at them."""

    crashed: list[int]
    hung: list[int]


class CrashTriage:
    """Decides what becomes of clips that were being decoded when a worker was lost."""

    def __init__(self, load_clip: ClipLoader) -> None:
        self._load_clip = load_clip
        self._losses = 0

    def progressed(self) -> None:
        """Record that a batch came through."""
        self._losses = 0

    def resolve(self, lost: Lost, in_flight: Iterable[Work]) -> None:
        """Add what is found out about the clips to the work in flight.

        Raises PipelineError if nothing can be found out.
        """
        if not lost.crashed and not lost.hung:
            self._losses += 1
            if self._losses > MAX_LOSSES:
                raise PipelineError(
                    "loader workers keep dying with no clip to blame: look for a lack of memory, "
                    "or decode in the main process with load.num_workers 0"
                )
        for work in in_flight:
            for request in work.requests:
                if request.row in lost.hung:
                    work.known[request.row] = self._hung(request)
                elif request.row in lost.crashed:
                    work.known[request.row] = self._decoded_alone(request)

    def _decoded_alone(self, request: Request) -> Clip | Rejection:
        for _ in range(TRIES):
            context = fork_server()
            answers, answer = context.Pipe(duplex=False)
            child = context.Process(target=load_alone, args=(self._load_clip, request, answer), daemon=True)
            child.start()
            answer.close()
            try:
                if not self._answered(child, answers):
                    return self._hung(request)
                outcome: Clip | Rejection = pickle.loads(answers.recv_bytes())
                return outcome
            except (EOFError, OSError):
                child.join()
                if -child.exitcode in FAULTS or 0 < child.exitcode < SERVER_GONE:
                    return self._crashed(request, "its decoder took its process down")
            finally:
                child.kill()
                child.join()
                answers.close()
        return self._crashed(request, f"{TRIES} processes were killed while decoding it: is memory short?")

    def _answered(self, child: BaseProcess, answers: Any) -> bool:
        clock, deadline = AwakeClock(), self._load_clip.decode_timeout
        while not answers.poll(POLL):
            if clock.read() > deadline + GRACE:
                return False
            if clock.read() > deadline:
                wake(child)
        return True

    def _hung(self, request: Request) -> Rejection:
        detail = f"its decoder hung for more than {self._load_clip.decode_timeout:g} s"
        return Rejection(request.utterance.id, request.utterance.audio, Reason.DECODE_TIMEOUT, detail)

    def _crashed(self, request: Request, detail: str) -> Rejection:
        return Rejection(request.utterance.id, request.utterance.audio, Reason.DECODER_CRASHED, detail)


def wake(process: BaseProcess) -> None:
    """Let a process that was stopped go on; one that runs does not notice."""
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, signal.SIGCONT)
