"""How much text there is to how much speech: units a second by language, and the rows that stand out.

A unit is a character, or a mora in Japanese. Long texts are spoken faster than short ones (pauses and edges
weigh less), so a row is compared with rows of its text's length. Knows no files.
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
ROWS_A_BIN = 25
SPREAD_FLOOR = 0.12  # of the log rate: a corpus more even than that has no outliers by it
MAD_TO_SIGMA = 1.4826  # median absolute deviation to standard deviation, for a normal distribution
PLAUSIBLE = {  # units a second between which the middle row of a corpus lies, pauses included
    "ja": (3.5, 13.0),
    "zh": (1.8, 8.0),
    "ko": (2.5, 10.0),
    "": (6.0, 22.0),  # alphabets
}


@dataclass(frozen=True)
class Rates:
    """Speech rate of one language. `rows` counts all its rows, the rest is of a fitted sample."""

    language: str
    rows: int
    median: float  # units a second
    spread: float  # robust standard deviation of the log rate about what its text's length lets expect
    codes_per_unit: float  # median
    correlation: float  # rank correlation of text length and duration
    plausible: tuple[float, float]

    @property
    def is_plausible(self) -> bool:
        """Whether the median lies where people's speech does."""
        return self.plausible[0] <= self.median <= self.plausible[1]


@dataclass(frozen=True)
class Expected:
    """The log rate to expect by text length, a broken line, and the spread about it."""

    log_units: np.ndarray
    log_rate: np.ndarray
    spread: float

    def deviations(self, units: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """Robust z of each row, (rows,): below 0 is slow (or text is missing), above is fast."""
        residual = _residual(self.log_units, self.log_rate, units, seconds)
        deviations: np.ndarray = residual / max(self.spread, SPREAD_FLOOR)
        return deviations


def count_units(texts: pa.Array, japanese: np.ndarray) -> np.ndarray:
    """Letters and digits of each text, float32 (rows,); in `japanese` rows the estimated morae."""
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
    """Booleans (rows,): the language says so, or it says nothing and the text has kana."""
    named = pc.fill_null(pc.starts_with(pc.utf8_lower(languages), "ja"), False)
    kana = pc.and_(pc.is_null(languages), pc.match_substring_regex(texts, KANA))
    found: np.ndarray = pc.or_(named, kana).to_numpy(zero_copy_only=False)
    return found


def expect(units: np.ndarray, seconds: np.ndarray) -> Expected:
    """Fit rows of one language: medians of the log rate over bins of equally many rows by text length."""
    order = np.argsort(units, kind="stable")
    bins = np.array_split(order, max(min(len(order) // ROWS_A_BIN, 20), 1))
    log_rate = np.log(units / seconds)
    log_units = np.array([np.log(np.median(units[rows])) for rows in bins])
    middle = np.array([np.median(log_rate[rows]) for rows in bins])
    residual = _residual(log_units, middle, units, seconds)
    spread = MAD_TO_SIGMA * float(np.median(np.abs(residual - np.median(residual))))
    return Expected(log_units, middle, spread)


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
    """Spearman's, without correction for ties beyond the average rank; 0 when one of them is constant."""
    ranks = [_ranks(values) for values in (first, second)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: np.ndarray = (last - (counts - 1) / 2)[inverse]
    return ranks


def _residual(
    log_units: np.ndarray, log_rate: np.ndarray, units: np.ndarray, seconds: np.ndarray
) -> np.ndarray:
    residual: np.ndarray = np.log(units / seconds) - np.interp(np.log(units), log_units, log_rate)
    return residual
