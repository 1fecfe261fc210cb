"""Alignment of two strings in which one long gap costs little more than a short one (Gotoh 1982).

O. Gotoh, An improved algorithm for matching biological sequences, J. Mol. Biol. 162.
"""

from __future__ import annotations

import numpy as np

MISMATCH, OPEN, EXTEND = 1.0, 1.5, 0.1  # costs; a match costs nothing
PAIR, SKIP_FIRST, SKIP_SECOND = 0, 1, 2


def align_letters(first: str, second: str) -> np.ndarray:
    """Return the equal letters of the cheapest alignment: pairs of places, int64 (n, 2), rising.

    Takes len(first) * len(second) * 3 bytes.
    """
    one, two = (np.frombuffer(text.encode("utf-32-le"), np.uint32) for text in (first, second))
    steps = _steps(one, two)
    pairs, i, j, table = [], len(one), len(two), int(steps[0][-1, -1])
    while i and j:
        if table == PAIR:
            if one[i - 1] == two[j - 1]:
                pairs.append((i - 1, j - 1))
            i, j, table = i - 1, j - 1, int(steps[0][i - 1, j - 1])
            continue
        goes_on = bool(steps[table][i, j])
        i, j = (i - 1, j) if table == SKIP_FIRST else (i, j - 1)
        table = table if goes_on else int(steps[0][i, j])
    return np.array(pairs[::-1], np.int64).reshape(-1, 2)


def _steps(one: np.ndarray, two: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each cell the best table, and whether a gap in either string goes on there."""
    shape = (len(one) + 1, len(two) + 1)
    best = np.zeros(shape, np.uint8)
    down, across = np.zeros(shape, bool), np.zeros(shape, bool)
    columns = np.arange(len(two) + 1)
    row = OPEN + EXTEND * columns
    row[0] = 0.0
    best[0, 1:], across[0, 2:] = SKIP_SECOND, True
    above = np.full(len(two) + 1, np.inf)  # cost with a gap that skips letters of `one`
    for i, letter in enumerate(one, start=1):
        opened, extended = row + OPEN + EXTEND, above + EXTEND
        down[i] = extended < opened
        above = np.minimum(opened, extended)
        paired = np.concatenate([[np.inf], row[:-1] + MISMATCH * (two != letter)])
        without = np.minimum(paired, above)
        # The cheapest way to skip letters of `two`, opened at any column before, in one pass.
        ahead = without + OPEN - EXTEND * columns
        lowest = np.minimum.accumulate(ahead)
        beside = np.concatenate([[np.inf], lowest[:-1] + EXTEND * columns[1:]])
        row = np.minimum(without, beside)
        best[i] = np.where(paired <= row, PAIR, np.where(above <= row, SKIP_FIRST, SKIP_SECOND))
        across[i, 1:] = np.concatenate([[False], lowest[:-1][1:] < ahead[:-1][1:]])
    return best, down, across
