"""Retries, in a disposable process, a clip that crashed its worker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

from pipeline.errors import PipelineError
from pipeline.loader.batch import Request
from pipeline.loader.processes import fork_server
from pipeline.loader.worker import ClipLoader, Work, try_alone
from pipeline.utterance import Reason, Rejection

GRACE = 10.0  # seconds past its deadline until a decode counts as hung: it looks at the clock between blocks
MAX_LOSSES = 3  # crews lost in a row without a clip to blame and without a batch


@dataclass(frozen=True)
class Lost:
    """A pool that cannot go on: rows by what happened to the worker that was at them."""

    crashed: list[int]
    hung: list[int]


class CrashTriage:
    """Decides what becomes of clips that were being decoded when a worker was lost."""

    def __init__(self, load_clip: ClipLoader) -> None:
        self._load_clip = load_clip
        self._sound: set[int] = set()  # rows that took a worker down once and were fine alone
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
                found: Rejection | None = None
                if request.row in lost.hung:
                    found = self._hung(request)
                elif request.row in lost.crashed:
                    found = self._crashed(request)
                if found is not None:
                    work.known[request.row] = found

    def _hung(self, request: Request) -> Rejection:
        detail = f"its decoder hung for more than {self._load_clip.decode_timeout:g} s"
        return Rejection(request.utterance.id, request.utterance.audio, Reason.DECODE_TIMEOUT, detail)

    def _crashed(self, request: Request) -> Rejection | None:
        """Return None if the clip is sound by itself: the worker was killed for another reason. Once."""
        if request.row in self._sound:
            return self._took_down(request)
        context = fork_server()
        answers, answer = context.Pipe(duplex=False)
        child: BaseProcess = context.Process(
            target=try_alone, args=(self._load_clip, request, answer), daemon=True
        )
        child.start()
        answer.close()
        try:
            if not answers.poll(self._load_clip.decode_timeout + GRACE):
                return self._hung(request)
            found: Rejection | None = answers.recv()
        except EOFError:
            return self._took_down(request)
        finally:
            child.kill()
            child.join()
            answers.close()
        self._sound.add(request.row)
        return found

    def _took_down(self, request: Request) -> Rejection:
        detail = "its decoder took its process down"
        return Rejection(request.utterance.id, request.utterance.audio, Reason.DECODER_CRASHED, detail)
