"""How texts and durations fit together, added up shard by shard: speech rates by language, and outliers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import ValidationSettings
from pipeline.validate.rows import rates
from pipeline.validate.rows.reading import ShardRows
from pipeline.validate.rows.row_numbers import FEATURE, RowFeatures
from pipeline.validate.suspects import Suspects

SECONDS_A_BIN = 0.5
DURATION_BINS = 240  # to two minutes; the last holds what is longer
RATE_EDGES = np.geomspace(0.5, 60, 81)  # units a second


class TextScan:
    """Collects text lengths and durations.

    `durations` and `rate_histogram` are counts of rows by bin; after `finish`, `languages` describes each
    and `outliers` counts the rows that stand out.
    """

    def __init__(self, settings: ValidationSettings, suspects: Suspects, work: Path) -> None:
        self._settings, self._suspects = settings, suspects
        self._features = RowFeatures(work / "rows.features")
        self._groups: dict[str, int] = {}
        self.seconds = 0.0
        self.durations = np.zeros(DURATION_BINS, np.int64)
        self.rate_histogram = np.zeros(len(RATE_EDGES) - 1, np.int64)
        self.languages: list[rates.Rates] = []
        self.outliers = 0

    def add(self, shard: ShardRows) -> None:
        """Add the next shard."""
        texts, languages = pc.fill_null(shard.texts("text"), ""), shard.texts("language")
        japanese = rates.is_japanese(texts, languages)
        units = rates.count_units(texts, japanese)
        seconds = np.nan_to_num(shard.numbers("duration"))
        self._features.add(units, seconds, shard.counts, self._group(languages, japanese))
        self.seconds += float(seconds.sum())
        bins = np.clip(seconds / SECONDS_A_BIN, 0, DURATION_BINS - 1).astype(np.int64)
        self.durations += np.bincount(bins, minlength=DURATION_BINS)
        spoken = (units > 0) & (seconds > 0)
        self.rate_histogram += np.histogram(units[spoken] / seconds[spoken], RATE_EDGES)[0]

    def finish(self) -> None:
        """Describe the languages and name the rows that stand out, once every shard was added."""
        fitted: dict[int, rates.Expected] = {}
        for name, group in sorted(self._groups.items()):
            rows, chosen = self._sampled(group)
            if len(chosen) == 0:
                continue
            units, seconds, codes = (chosen[key].astype(np.float64) for key in ("units", "seconds", "codes"))
            self.languages.append(rates.describe(name, rows, units, seconds, codes))
            fitted[group] = rates.expect(units, seconds)
        first_row = 0
        for block in self._features.blocks():
            for group, expected in fitted.items():
                self._note_outliers(block, group, expected, first_row)
            first_row += len(block)
        self._features.close()

    def _group(self, languages: pa.Array, japanese: np.ndarray) -> np.ndarray:
        """Return the number of each row's language, int32 (rows,); rows that name none go by their script."""
        named = pc.if_else(
            pc.and_(pc.is_null(languages), pa.array(japanese)), "ja", pc.fill_null(languages, "")
        )
        encoded = named.dictionary_encode()
        numbers = [
            self._groups.setdefault(name, len(self._groups)) for name in encoded.dictionary.to_pylist()
        ]
        group: np.ndarray = np.array(numbers, np.int32)[encoded.indices.to_numpy()]
        return group

    def _sampled(self, group: int) -> tuple[int, np.ndarray]:
        """Return how many spoken rows a language has, and at most `rates.FIT_ROWS` of them, evenly spread."""
        total, step, chosen = 0, 1, np.empty(0, FEATURE)
        for block in self._features.blocks():
            spoken = block[_spoken(block, group)]
            chosen = np.concatenate([chosen, spoken[(-total) % step :: step]])
            total += len(spoken)
            while len(chosen) > rates.FIT_ROWS:
                chosen, step = chosen[::2], step * 2
        return total, chosen

    def _note_outliers(self, block: np.ndarray, group: int, expected: rates.Expected, first_row: int) -> None:
        rows = np.flatnonzero(_spoken(block, group))
        deviation = expected.deviations(block["units"][rows], block["seconds"][rows])
        limit = self._settings.rate_outlier
        for reason, far in (
            ("speech_too_slow_for_text", deviation < -limit),
            ("speech_too_fast_for_text", deviation > limit),
        ):
            found = deviation[far]
            self._suspects.add(reason, rows[far] + first_row, np.abs(found) / limit, found)
            self.outliers += len(found)


def _spoken(block: np.ndarray, group: int) -> np.ndarray:
    spoken: np.ndarray = (block["group"] == group) & (block["units"] > 0) & (block["seconds"] > 0)
    return spoken
