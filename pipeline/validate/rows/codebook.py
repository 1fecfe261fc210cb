"""How a codebook is used: entropy, share of the reachable entries, FSQ digits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

FSQ_LEVELS = 4  # of each digit in XCodec2 and NeuCodec: their 65,536 entries are 4^8


@dataclass(frozen=True)
class CodebookUse:
    """What `codebook_use` finds; entropies in bits."""

    codes: int
    used: int
    reachable: float  # entries that as many codes drawn evenly would use
    share_of_reachable: float
    entropy: float
    entropy_share: float  # of the entropy that as many codes drawn evenly would show
    digits: list[list[float]]  # share of each level in each FSQ digit; empty when the codebook has none
    dead_digit_levels: int  # levels of digits that no code has
    digit_entropy_share: float | None  # mean over the digits, of 2 bits


def codebook_use(counts: np.ndarray) -> CodebookUse:
    """Measure the use from how often each code occurs, int64 (codebook size,)."""
    total, size = int(counts.sum()), len(counts)
    used = int((counts > 0).sum())
    reachable = size * -math.expm1(total * math.log1p(-1 / size)) if size > 1 else float(total > 0)
    # The plug-in entropy of few draws is too low; Miller and Madow's correction, (used - 1) / 2n nats, mends
    # most of that. The even draw is corrected alike, so that the share compares like with like.
    shown = _entropy(counts) + _correction(used, total)
    possible = min(math.log2(size), math.log2(max(total, 1)) + _correction(round(reachable), total))
    digits = fsq_digits(counts)
    return CodebookUse(
        codes=total,
        used=used,
        reachable=reachable,
        share_of_reachable=used / reachable if reachable else 0.0,
        entropy=shown,
        entropy_share=min(shown / possible, 1.0) if possible > 0 else 0.0,
        digits=[row.tolist() for row in digits],
        dead_digit_levels=int((digits == 0).sum()),
        digit_entropy_share=_digit_entropy(digits) if len(digits) and total else None,
    )


def fsq_digits(counts: np.ndarray) -> np.ndarray:
    """Return the share of each level in each FSQ digit, (digits, 4), lowest first.

    Returns None if the size is no 4^n.
    """
    number = round(math.log(len(counts), FSQ_LEVELS)) if len(counts) else 0
    if number < 1 or FSQ_LEVELS**number != len(counts):
        return np.zeros((0, FSQ_LEVELS))
    grid = counts.reshape((FSQ_LEVELS,) * number)
    axes = range(number)
    levels = [grid.sum(axis=tuple(a for a in axes if a != number - 1 - digit)) for digit in axes]
    return np.array(levels) / max(int(counts.sum()), 1)


def _entropy(counts: np.ndarray) -> float:
    share = counts[counts > 0] / max(int(counts.sum()), 1)
    return float(-(share * np.log2(share)).sum())


def _correction(used: int, total: int) -> float:
    return (used - 1) / (2 * total * math.log(2)) if total else 0.0


def _digit_entropy(digits: np.ndarray) -> float:
    logs = np.log2(digits, where=digits > 0, out=np.zeros_like(digits))
    return float(-(digits * logs).sum(axis=1).mean() / math.log2(FSQ_LEVELS))
