"""Progress for people: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

QUIET_INTERVAL = 30.0  # seconds between lines where there is no terminal


class Progress:
    """Counts towards `total` (None: unknown): clips, hours, times real time, time left, rejected."""

    def __init__(self, label: str, total: int | None, unit: str = "clip") -> None:
        self._bar = tqdm(
            total=total, desc=label, unit=f" {unit}s", disable=not sys.stderr.isatty(), dynamic_ncols=True
        )
        self._label, self._total, self._unit = label, total, unit
        self._started = self._said = time.monotonic()
        self._done, self._rejected, self._seconds = 0, 0, 0.0

    def advanced(self, clips: int, rejected: int, seconds: float) -> None:
        """Count clips done (`seconds` of audio) and rejected."""
        self._seconds += seconds
        self._rejected += rejected
        self.counted(clips + rejected)

    def counted(self, number: int) -> None:
        """Count what has neither audio nor rejections."""
        self._done += number
        self._bar.set_postfix_str(self._audio(), refresh=False)
        self._bar.update(number)
        if self._bar.disable and time.monotonic() - self._said >= QUIET_INTERVAL:
            self._said = time.monotonic()
            print(self._line(), file=sys.stderr, flush=True)

    def _audio(self) -> str:
        if not self._seconds and not self._rejected:
            return ""
        speed = self._seconds / max(time.monotonic() - self._started, 1e-6)
        return f"{self._seconds / 3600:.2f} h, {speed:,.0f}× real time, {self._rejected:,} rejected"

    def _line(self) -> str:
        elapsed = time.monotonic() - self._started
        parts = [f"{self._label}: {self._done:,} {self._unit}s"]
        if self._total:
            parts = [f"{self._label}: {self._done:,} of {self._total:,} {self._unit}s"]
            if self._done:
                parts.append(f"{elapsed * (self._total - self._done) / self._done:,.0f} s left")
        return ", ".join([*parts, *filter(None, [self._audio()])])

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
