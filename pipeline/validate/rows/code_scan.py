"""What the codes of a dataset show, added up by shard: use of the codebook, runs, tails, loops."""

from __future__ import annotations

from collections import Counter

import numpy as np

from pipeline.config import ValidationSettings
from pipeline.ragged import repeats, runs
from pipeline.validate.rows.reading import ShardRows
from pipeline.validate.suspects import Suspects

RUN_BINS = 240  # of the histogram of longest runs, in codes; the last holds what is longer
MAX_PERIOD = 25  # codes: loops of up to half a second are looked for


class CodeScan:
    """Counts codes.

    After the last shard: `counts`, occurrences by code; `longest_runs`, rows by their longest run of one
    code; `faults`, rows by rule.
    """

    def __init__(self, settings: ValidationSettings, suspects: Suspects) -> None:
        self._settings, self._suspects = settings, suspects
        self.counts = np.zeros(0, np.int64)
        self.longest_runs = np.zeros(RUN_BINS, np.int64)
        self.faults: Counter[str] = Counter()

    def add(self, shard: ShardRows, codebook_size: int, first_row: int) -> None:
        """Look at a shard whose first row has this number in the dataset."""
        self._count(shard.codes, codebook_size)
        limits = self._settings
        longest, tail = runs(shard.codes, shard.counts)
        self.longest_runs += np.bincount(np.minimum(longest, RUN_BINS - 1), minlength=RUN_BINS)
        loops = repeats(shard.codes, shard.counts, MAX_PERIOD)
        for rule, values, limit in (
            ("long_run_of_one_code", longest, limits.max_run),
            ("stuck_tail", tail, limits.max_tail),
            ("loop", loops, limits.max_loop),
        ):
            rows = np.flatnonzero(values > limit)
            self.faults[rule] += len(rows)
            self._suspects.add(rule, rows + first_row, values[rows] / limit, values[rows].astype(float))

    def _count(self, codes: np.ndarray, codebook_size: int) -> None:
        if len(self.counts) < codebook_size:
            self.counts = np.pad(self.counts, (0, codebook_size - len(self.counts)))
        if len(codes) and (codes.min() < 0 or codes.max() >= len(self.counts)):
            codes = codes[(codes >= 0) & (codes < len(self.counts))]
        self.counts += np.bincount(codes, minlength=len(self.counts))
