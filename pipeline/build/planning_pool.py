"""The helpers of planning: a process for each core of this machine, and those that others offer.

Whatever a helper does can be done by any other, or by nobody's help: what is planned does not depend on them.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol

from pipeline.audio.decoders import silence_native_output
from pipeline.build.examine import Examiner
from pipeline.build.planning_worker import PlanningWorker
from pipeline.corpus import Corpus
from pipeline.errors import PipelineError
from pipeline.runtime import cores, end_with_parent


class Answer(Protocol):
    """What a helper was asked for, which it may be at work on."""

    def done(self) -> bool:
        """Return whether it is there."""
        ...

    def result(self) -> Any:
        """Wait for it. Raises PipelineError if the helper dies, and what its work raises."""
        ...


class Helper(Protocol):
    """A `PlanningWorker` somewhere."""

    def ask(self, task: str, *arguments: Any) -> Answer:
        """Let it do one of its tasks, after those it was asked for before."""
        ...

    def close(self) -> None:
        """End it; what it was asked for is not wanted any more."""
        ...


StartHelper = Callable[[Examiner, Corpus | None], Helper]


class PlanningPool:
    """The helpers there are; each is started once it is needed. `processes` of them are of this machine.

    By default there is one a core. One alone would be no help.
    """

    def __init__(self, processes: int | None = None) -> None:
        count = processes or cores()
        self._to_start: list[StartHelper] = [_Process] * count if count > 1 else []
        self._helpers: list[Helper] = []
        self._arguments: tuple[Examiner, Corpus | None] | None = None

    def add(self, start: StartHelper) -> None:
        """Take in another helper, also while others are at work."""
        self._to_start.append(start)

    @contextlib.contextmanager
    def at_work(self, examine: Examiner, corpus: Corpus) -> Iterator[None]:
        """Let helpers be had for the block; they end with it."""
        self._arguments = examine, None if corpus.files is None else corpus
        try:
            yield
        finally:
            self._arguments = None
            while self._helpers:
                self._helpers.pop().close()

    def helpers(self) -> list[Helper]:
        """Return all helpers; starts those that were added."""
        assert self._arguments is not None
        while self._to_start:
            self._helpers.append(self._to_start.pop()(*self._arguments))
        return self._helpers


class _Process:
    """A helper on this machine. Not the loader's fork server: that has imported torch, of no use here."""

    def __init__(self, examine: Examiner, corpus: Corpus | None) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, spawn, _start, (examine, corpus))

    def ask(self, task: str, *arguments: Any) -> Answer:
        with _deaths_told():
            return _Future(self._pool.submit(_do, task, *arguments))

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class _Future:
    def __init__(self, future: Future[Any]) -> None:
        self._future = future
        self.done = future.done

    def result(self) -> Any:
        with _deaths_told():
            return self._future.result()


@contextlib.contextmanager
def _deaths_told() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise PipelineError(
            "a process that reads the headers of the audio has died (out of memory?): run the same command "
            "again, which goes on"
        ) from error


_worker: PlanningWorker  # of this process, if it is a helper


def _start(examine: Examiner, corpus: Corpus | None) -> None:
    """Make this process a quiet child, deaf to Ctrl-C, which its parent has, and gone when that is."""
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    silence_native_output()
    _worker = PlanningWorker(examine, corpus)
    end_with_parent()


def _do(task: str, *arguments: Any) -> Any:
    return getattr(_worker, task)(*arguments)
