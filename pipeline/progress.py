"""Progress for people: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

QUIET_INTERVAL = 30.0  # seconds between lines where there is no terminal


def plural(number: int, noun: str) -> str:
    """Return a number with its noun: 1 row, 2,000 rows."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


class Progress:
    """Counts towards `total` (None: unknown): clips, hours, times real time, time left, rejected."""

    def __init__(self, label: str, total: int | None, unit: str = "clip") -> None:
        self._bar = tqdm(
            total=total, desc=label, unit=f" {unit}s", disable=not sys.stderr.isatty(), dynamic_ncols=True
        )
        self._label, self._total, self._unit = label, total, unit
        self._started = self._said = time.monotonic()
        self._whole = True  # the total is all there is
        self._rejected, self._seconds = 0, 0.0
        self.done = 0

    def expect(self, total: int, *, whole: bool) -> None:
        """Set the total; unless that is the `whole` of it, there are at least so many."""
        if (total, whole) != (self._total, self._whole):
            self._total, self._whole = total, whole
            self._bar.total = total
            self._bar.set_description(self._label if whole else f"{self._label}, of at least", refresh=False)

    def advanced(self, clips: int, rejected: int, seconds: float) -> None:
        """Count clips done (`seconds` of audio) and rejected."""
        self._seconds += seconds
        self._rejected += rejected
        self.counted(clips + rejected)

    def counted(self, number: int) -> None:
        """Count what has neither audio nor rejections."""
        self.done += number
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
        parts = [f"{self._label}: {plural(self.done, self._unit)}"]
        if self._total:
            least = "" if self._whole else "at least "
            parts = [f"{self._label}: {self.done:,} of {least}{plural(self._total, self._unit)}"]
            if self.done and self._whole:
                parts.append(f"{elapsed * (self._total - self.done) / self.done:,.0f} s left")
        return ", ".join([*parts, *filter(None, [self._audio()])])

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
