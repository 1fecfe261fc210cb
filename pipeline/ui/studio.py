"""What stands behind the page: a speaker, loaded and used in one thread while the page is already there."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from pipeline.llasa.speaking import Speaker

Result = TypeVar("Result")


class Studio:
    """Loads, warms up and uses a speaker in one thread that lives as long as the page.

    What `torch.compile` records on CUDA belongs to the thread that recorded it; gradio answers each request
    in another one.
    """

    def __init__(self, open_speaker: Callable[[], Speaker], model: str) -> None:
        self.model = model
        self._began = time.perf_counter()
        self._took: float | None = None
        self.error: str | None = None
        self._speaker: Speaker | None = None
        self._loaded = threading.Event()
        self._open = open_speaker
        self._waiting: SimpleQueue[tuple[Callable[[Speaker], Any], Future[Any]]] = SimpleQueue()
        self._stops: set[str] = set()  # sessions whose running request is to stop
        threading.Thread(target=self._serve, name="the model's thread", daemon=True).start()

    @property
    def loading(self) -> bool:
        """Whether there is neither a speaker nor an error yet."""
        return not self._loaded.is_set()

    @property
    def seconds(self) -> float:
        """How long loading has taken."""
        return time.perf_counter() - self._began if self._took is None else self._took

    def submit(self, work: Callable[[Speaker], Result]) -> Future[Result]:
        """Do `work` with the speaker, in its thread, after all that was submitted before.

        The future raises PipelineError if there is no speaker, and says why.
        """
        future: Future[Result] = Future()
        self._waiting.put((work, future))
        return future

    def stop(self, session: str) -> None:
        """Ask what a session has running to stop."""
        self._stops.add(session)

    def begin(self, session: str) -> Callable[[], bool]:
        """Forget earlier stop requests of a session; return a function that tells whether one came since."""
        self._stops.discard(session)
        return lambda: session in self._stops

    def _serve(self) -> None:
        self._load()
        while True:
            work, future = self._waiting.get()
            try:
                if self._speaker is None:
                    raise PipelineError(self.error or "the model could not be loaded")
                future.set_result(work(self._speaker))
            except BaseException as error:
                future.set_exception(error)

    def _load(self) -> None:
        try:
            self._speaker = self._open()
        except PipelineError as error:
            self.error = str(error)
        except Exception:
            self.error = "an unexpected error; its traceback is in the terminal"
            traceback.print_exc()
        self._took = time.perf_counter() - self._began
        self._loaded.set()
