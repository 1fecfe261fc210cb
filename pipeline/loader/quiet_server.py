"""Imported by the fork server alone, so that a process that it was about to start ends without a word.

If the run ends or is killed at that moment, the new process finds pipes and semaphores gone, and Python would
print a traceback of its own start after the run's last line.
"""

from __future__ import annotations

import sys
from types import TracebackType


def _unless_the_run_is_gone(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if not isinstance(error, (OSError, EOFError)):
        sys.__excepthook__(kind, error, traceback)


sys.excepthook = _unless_the_run_is_gone
