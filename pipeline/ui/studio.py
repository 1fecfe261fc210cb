"""What stands behind the page: a speaker that loads while the page is already there, and stop requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from pipeline.llasa.speaking import Speaker


class Studio:
    """Loads a speaker in a thread of its own."""

    def __init__(self, open_speaker: Callable[[], Speaker], model: str) -> None:
        self.model = model
        self.seconds = 0.0
        self.error: str | None = None
        self._speaker: Speaker | None = None
        self._open = open_speaker
        self._stops: set[str] = set()  # sessions whose running request is to stop
        self._thread = threading.Thread(target=self._load, name="load the model", daemon=True)
        self._thread.start()

    @property
    def loading(self) -> bool:
        """Whether there is neither a speaker nor an error yet."""
        return self._speaker is None and self.error is None

    def speaker(self) -> Speaker:
        """Return the speaker, waiting until it is loaded.

        Raises PipelineError, which says why there is none.
        """
        self._thread.join()
        if self._speaker is None:
            raise PipelineError(self.error or "the model could not be loaded")
        return self._speaker

    def stop(self, session: str) -> None:
        """Ask what a session has running to stop."""
        self._stops.add(session)

    def begin(self, session: str) -> Callable[[], bool]:
        """Forget earlier stop requests of a session; return a function that tells whether one came since."""
        self._stops.discard(session)
        return lambda: session in self._stops

    def _load(self) -> None:
        started = time.perf_counter()
        try:
            self._speaker = self._open()
        except PipelineError as error:
            self.error = str(error)
        except Exception:
            self.error = "an unexpected error; its traceback is in the terminal"
            raise  # to the thread's excepthook, which prints it
        finally:
            self.seconds = time.perf_counter() - started
