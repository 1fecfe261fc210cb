"""How much text there is to how much speech: units a second by language, and the rows that stand out.

A unit is a letter or digit, or a mora in Japanese. Short texts are spoken slower than long ones, since the
edges of a clip weigh more, so a row is compared with what its text's length predicts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

KANA, SMALL_KANA, KANJI = r"[ぁ-ゖァ-ヺー]", r"[ゃゅょぁぃぅぇぉャュョァィゥェォ]", r"\p{Han}"
MORAE_A_KANJI = 2.0  # about 1.9 to 2.1 in running text; exact counts would need a dictionary
LETTERS = r"[\pL\pN]"  # punctuation and spaces are not spoken
FIT_ROWS = 50_000  # rows of a language that the expected rate is fitted to
FIT_STEPS = 30
ERROR_FLOOR = 0.01  # relative error below which rows weigh the same
SPREAD_FLOOR = 0.12  # of the log duration: a corpus more even than that has no outliers by it
MAD_TO_SIGMA = 1.4826  # median absolute deviation to standard deviation, for a normal distribution
PLAUSIBLE = {  # units a second between which the middle row of a corpus lies, pauses included
    "ja": (3.5, 13.0),
    "zh": (1.8, 8.0),
    "ko": (2.5, 10.0),
    "": (6.0, 22.0),  # alphabets
}


@dataclass(frozen=True)
class Rates:
    """Speech rate of one language; `rows` counts all its rows, the rest is of a fitted sample."""

    language: str
    rows: int
    median: float  # units a second
    spread: float  # robust standard deviation of the log rate about what its text's length lets expect
    codes_per_unit: float  # median
    correlation: float  # rank correlation of text length and duration
    plausible: tuple[float, float]

    @property
    def is_plausible(self) -> bool:
        """Return whether the median lies where people's speech does."""
        return self.plausible[0] <= self.median <= self.plausible[1]


@dataclass(frozen=True)
class Expected:
    """How long a text of a language takes: seconds at its edges, and seconds a unit."""

    edges: float
    per_unit: float
    spread: float  # robust standard deviation of log duration given text length


def count_units(texts: pa.Array, japanese: np.ndarray) -> np.ndarray:
    """Count letters and digits of each text, float32 (rows,); in `japanese` rows the estimated morae."""
    letters: np.ndarray = pc.count_substring_regex(texts, LETTERS).to_numpy(zero_copy_only=False)
    units: np.ndarray = letters.astype(np.float32)
    if japanese.any():
        chosen = texts.filter(pa.array(japanese))
        kana, small, kanji = (
            pc.count_substring_regex(chosen, pattern).to_numpy(zero_copy_only=False)
            for pattern in (KANA, SMALL_KANA, KANJI)
        )
        others = units[japanese] - kana - kanji
        units[japanese] = kana - small + MORAE_A_KANJI * kanji + np.maximum(others, 0)
    return units


def is_japanese(texts: pa.Array, languages: pa.Array) -> np.ndarray:
    """Return booleans (rows,): the language says so, or it says nothing and the text has kana."""
    named = pc.fill_null(pc.starts_with(pc.utf8_lower(languages), "ja"), False)
    kana = pc.and_(pc.is_null(languages), pc.match_substring_regex(texts, KANA))
    found: np.ndarray = pc.or_(named, kana).to_numpy(zero_copy_only=False)
    return found


def expect(units: np.ndarray, seconds: np.ndarray) -> Expected:
    """Fit rows of one language: seconds = edges + per_unit * units with the least absolute relative error.

    Absolute, so that a tenth of wrong rows does not bend the line; by iteratively reweighted least squares.
    """
    edges, per_unit = 0.0, float(np.median(seconds / units))
    for _ in range(FIT_STEPS):
        error = np.abs(seconds - edges - per_unit * units) / seconds
        weights = 1 / (np.maximum(error, ERROR_FLOOR) * seconds**2)
        mean_units, mean_seconds = (np.average(values, weights=weights) for values in (units, seconds))
        spread = np.average((units - mean_units) ** 2, weights=weights)
        if spread > 0:
            together = np.average((units - mean_units) * (seconds - mean_seconds), weights=weights)
            per_unit = max(float(together / spread), 0.0)
        edges = max(float(mean_seconds - per_unit * mean_units), 0.0)
        if edges == 0 or per_unit == 0:  # outside what speech can be: a rate alone, or a duration alone
            per_unit = float(np.median(seconds / units)) if edges == 0 else 0.0
            break
    residual = np.log(seconds) - np.log(edges + per_unit * units)
    return Expected(edges, per_unit, MAD_TO_SIGMA * float(np.median(np.abs(residual - np.median(residual)))))


def describe(language: str, rows: int, units: np.ndarray, seconds: np.ndarray, codes: np.ndarray) -> Rates:
    """Summarise a language from a sample of its rows: units, seconds, codes of shape (n,), n at least 1."""
    return Rates(
        language=language,
        rows=rows,
        median=float(np.median(units / seconds)),
        spread=expect(units, seconds).spread,
        codes_per_unit=float(np.median(codes / units)),
        correlation=rank_correlation(units, seconds),
        plausible=PLAUSIBLE.get(language.lower().split("-")[0].split("_")[0], PLAUSIBLE[""]),
    )


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Spearman's, without correction for ties beyond the average rank; 0 if one is constant."""
    ranks = [_ranks(values) for values in (first, second)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: np.ndarray = (last - (counts - 1) / 2)[inverse]
    return ranks
