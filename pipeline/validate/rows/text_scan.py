"""How texts and durations fit together: speech rates by language, and the rows that stand out."""

from __future__ import annotations

import numpy as np

from pipeline.validate.rows import rates
from pipeline.validate.rows.row_table import RowTable
from pipeline.validate.suspects import Suspects

SECONDS_A_BIN = 0.5
DURATION_BINS = 240  # to two minutes; the last holds what is longer
RATE_EDGES = np.geomspace(0.5, 60, 81)  # units a second


class TextScan:
    """Adds up text lengths and durations.

    `durations` and `rate_histogram` are counts of rows by bin; after `finish`, `languages` describes each
    and `outliers` counts the rows that stand out.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.durations = np.zeros(DURATION_BINS, np.int64)
        self.rate_histogram = np.zeros(len(RATE_EDGES) - 1, np.int64)
        self.languages: list[rates.Rates] = []
        self.outliers = 0

    def add(self, units: np.ndarray, seconds: np.ndarray) -> None:
        """Add rows by their text units and seconds, (rows,) each."""
        self.seconds += float(seconds.sum())
        bins = np.clip(seconds / SECONDS_A_BIN, 0, DURATION_BINS - 1).astype(np.int64)
        self.durations += np.bincount(bins, minlength=DURATION_BINS)
        spoken = (units > 0) & (seconds > 0)
        self.rate_histogram += np.histogram(units[spoken] / seconds[spoken], RATE_EDGES)[0]

    def finish(self, table: RowTable, suspects: Suspects, limit: float) -> None:
        """Describe the languages; name the rows that are off by over `limit` spreads."""
        for language, rows in table.languages().items():
            sample = table.sample(language, step=-(-rows // rates.FIT_ROWS))
            units, seconds = sample["units"], sample["seconds"]
            self.languages.append(rates.describe(language, rows, units, seconds, sample["length"]))
            fit = rates.expect(units, seconds)
            spread = max(fit.spread, rates.SPREAD_FLOOR)
            numbers, off = table.deviating(language, fit.edges, fit.per_unit, spread, limit)
            self.outliers += len(numbers)
            for reason, side in (
                ("speech_too_slow_for_text", off < 0),
                ("speech_too_fast_for_text", off > 0),
            ):
                suspects.add(reason, numbers[side], np.abs(off[side]) / limit, off[side])
