"""One progress line: clips, hours, times real time, time left, rejected; now and then one without a terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

QUIET_INTERVAL = 30.0  # seconds between lines when nobody watches


class Progress:
    """A bar over `total` clips (None: not known)."""

    def __init__(self, label: str, total: int | None, unit: str = "clip") -> None:
        watched = sys.stderr.isatty()
        self._bar = tqdm(
            total=total,
            desc=label,
            unit=f" {unit}s",
            mininterval=0.1 if watched else QUIET_INTERVAL,
            maxinterval=10.0 if watched else QUIET_INTERVAL,
            delay=0.0 if watched else QUIET_INTERVAL,
            leave=watched,
            dynamic_ncols=watched,
            ascii=not watched,
        )
        self._started = time.perf_counter()
        self._seconds = 0.0
        self._rejected = 0

    def advanced(self, clips: int, rejected: int, seconds: float) -> None:
        """Count clips done (`seconds` of audio) and rejected."""
        self._seconds += seconds
        self._rejected += rejected
        speed = self._seconds / max(time.perf_counter() - self._started, 1e-6)
        self._bar.set_postfix_str(
            f"{self._seconds / 3600:.2f} h, {speed:.0f}× real time, {self._rejected} rejected", refresh=False
        )
        self._bar.update(clips + rejected)

    def counted(self, number: int) -> None:
        """Count without audio."""
        self._bar.update(number)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
