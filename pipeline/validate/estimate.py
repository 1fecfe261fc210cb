"""Estimates from a sample, with confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

RESAMPLES = 1_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval, and the `number` of rows it rests on."""

    value: float
    low: float
    high: float
    number: int


def mean(values: Sequence[float], seed: int = 0) -> Estimate | None:
    """Return the mean of some rows' figures; None without rows. See `ratio`."""
    return ratio(values, [1.0] * len(values), seed)


def ratio(numerators: Sequence[float], denominators: Sequence[float], seed: int = 0) -> Estimate | None:
    """Return sum over sum, as word error rates are, with a percentile bootstrap over rows (Efron 1979).

    Rows that all say the same give a bootstrap of width 0, which a small sample does not earn: a share of
    0 or 1 is given the rule of three's interval instead.
    """
    top, bottom = np.asarray(numerators, float), np.asarray(denominators, float)
    if len(top) == 0 or bottom.sum() == 0:
        return None
    value = float(top.sum() / bottom.sum())
    drawn = np.random.default_rng(seed).integers(len(top), size=(RESAMPLES, len(top)))
    sums = bottom[drawn].sum(axis=1)
    resampled = top[drawn].sum(axis=1)[sums > 0] / sums[sums > 0]
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(bound) for bound in np.quantile(resampled, [tail, 1 - tail]))
    if set(np.unique(top)) <= {0.0, 1.0} and (bottom == 1).all():
        reach = min(3 / len(top), 1.0)
        low, high = (low, max(high, reach)) if value == 0 else (low, high)
        low, high = (min(low, 1 - reach), high) if value == 1 else (low, high)
    return Estimate(value, low, high, len(top))


def as_dict(estimate: Estimate | None) -> dict[str, Any] | None:
    """Return an estimate for JSON."""
    if estimate is None:
        return None
    return {name: value if name == "number" else round(value, 5) for name, value in asdict(estimate).items()}
