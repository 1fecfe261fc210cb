"""A histogram as lines of text: it shows wherever Markdown does, and costs no image file."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

WIDTHS = (1, 2, 5, 10, 20, 60, 300, 3600)  # seconds a bar
BARS = 16  # at most, unless the widest bars do not do
LENGTH = 40  # characters of the longest bar
EIGHTHS = " ▏▎▍▌▋▊▉"  # a character filled by 0/8 … 7/8


def bars(counts: Mapping[str, int]) -> list[str]:
    """Return the lines of a histogram; `counts`: rows by duration in whole seconds, at least one."""
    seconds = {int(second): int(count) for second, count in counts.items()}
    longest = max(seconds) + 1
    width = next((width for width in WIDTHS if longest / width <= BARS), WIDTHS[-1])
    heights = [0] * -(-longest // width)
    for second, count in seconds.items():
        heights[second // width] += count
    highest = max(heights)
    edge, number = len(str(len(heights) * width)), len(f"{highest:,}")
    return [
        f"{i * width:{edge}}–{(i + 1) * width:<{edge}} s {height:{number},} {_bar(height / highest)}".rstrip()
        for i, height in enumerate(heights)
    ]


def below(counts: Mapping[str, int], share: float) -> int:
    """Return the least whole number of seconds that `share` of the rows stay below.

    `counts` is as for `bars`.
    """
    ordered = sorted((int(second), count) for second, count in counts.items())
    reached = itertools.accumulate(count for _, count in ordered)
    wanted = share * sum(counts.values())
    return next(second + 1 for (second, _), sum_ in zip(ordered, reached, strict=True) if sum_ >= wanted)


def _bar(share: float) -> str:
    eighths = round(share * LENGTH * 8)
    if share > 0:
        eighths = max(eighths, 1)  # something is not nothing
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()
