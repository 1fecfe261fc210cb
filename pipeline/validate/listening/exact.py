"""Checks whether rows have the codes that their clips get alone: encodes some again, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.audio.decode import AudioError
from pipeline.validate.estimate import as_dict, ratio
from pipeline.validate.listening.sample import Recordings, SampleRow

Encode = Callable[[np.ndarray], np.ndarray]  # float32 (samples,), one clip alone, in fp32, to codes (n,)

TAIL = 3  # codes at a clip's end: what batching with masks changes first
TENTHS = 10
LENGTHS = (0, 2, 5, 10, 20)  # seconds at which a group of clips by length begins


@dataclass
class Agreement:
    """Equal codes and compared codes, as pairs [equal, compared]; `rows` by row number."""

    by_position: list[list[int]] = field(default_factory=lambda: [[0, 0] for _ in range(TENTHS)])
    tails: list[list[int]] = field(default_factory=list)  # of the last codes, a pair a row
    by_length: dict[int, list[int]] = field(default_factory=lambda: {begin: [0, 0] for begin in LENGTHS})
    rows: dict[int, list[int]] = field(default_factory=dict)
    other_counts: int = 0  # rows with another number of codes
    problems: int = 0  # rows whose source cannot be decoded now

    def add(self, row: int, codes: np.ndarray, alone: np.ndarray, seconds: float) -> None:
        """Compare a row's codes with those of its clip alone. What one of them lacks counts as different."""
        number, common = max(len(codes), len(alone)), min(len(codes), len(alone))
        equal = np.zeros(number, bool)
        equal[:common] = codes[:common] == alone[:common]
        self.other_counts += len(codes) != len(alone)
        tenths = np.arange(number) * TENTHS // max(number, 1)
        for tenth, same in zip(tenths.tolist(), equal.tolist(), strict=True):
            _count(self.by_position[tenth], int(same), 1)
        self.tails.append([int(equal[-TAIL:].sum()), len(equal[-TAIL:])])
        group = max(begin for begin in LENGTHS if begin <= seconds)
        _count(self.by_length[group], int(equal.sum()), number)
        self.rows[row] = [int(equal.sum()), number]

    def figures(self) -> dict[str, Any]:
        """Return the agreement for the report: of codes, of clips, by position, by length."""
        pairs = list(self.rows.values())
        return {
            "rows": len(self.rows),
            "codes": sum(compared for _, compared in pairs),
            "agreement": _estimate(pairs),
            "agreement_of_last_codes": _estimate(self.tails),
            "rows_equal": sum(a == b for a, b in self.rows.values()),
            "rows_with_another_number_of_codes": self.other_counts,
            "rows_without_source": self.problems,
            "by_position": [_share(pair) for pair in self.by_position],
            "by_seconds": {
                f"from_{begin}": _share(pair) for begin, pair in self.by_length.items() if pair[1]
            },
        }


def compare_rows(
    rows: Iterable[SampleRow],
    recordings: Recordings,
    encode: Encode,
    progress: Callable[[int], object] = lambda rows: None,
) -> Agreement:
    """Encode each row's clip alone and count the codes that are the same."""
    agreement = Agreement()
    for row in rows:
        try:
            _, _, waveform = recordings.load(row)
        except AudioError:
            agreement.problems += 1
        else:
            agreement.add(row.row, row.codes, encode(waveform), len(waveform) / recordings.sample_rate)
        progress(1)
    return agreement


def _count(pair: list[int], equal: int, compared: int) -> None:
    pair[0] += equal
    pair[1] += compared


def _estimate(pairs: list[list[int]]) -> dict[str, Any] | None:
    return as_dict(ratio([equal for equal, _ in pairs], [compared for _, compared in pairs]))


def _share(pair: list[int]) -> float | None:
    return round(pair[0] / pair[1], 6) if pair[1] else None
