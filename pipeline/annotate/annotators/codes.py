"""What codes alone tell: how much they say, and whether they get stuck."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from pipeline.annotate.protocol import Column, Rows, Values
from pipeline.ragged import repeats, row_sums, runs

MAX_PERIOD = 25  # codes: loops of up to half a second are looked for


class Codes:
    """Entropy, runs and loops; needs neither recordings nor models."""

    name = "codes"
    version = 1
    settings: ClassVar[Mapping[str, Any]] = {"max_period": MAX_PERIOD}
    columns: ClassVar[Mapping[str, Column]] = {
        "code_entropy": Column(pa.float32(), "entropy of the row's codes, bits a code"),
        "code_distinct": Column(pa.float32(), "different codes, share of the row's codes"),
        "code_run": Column(pa.int32(), "longest run of one code, codes"),
        "code_tail": Column(pa.int32(), "run of one code at the end, codes"),
        "code_loop": Column(pa.int32(), "longest stretch that repeats with a short period, codes"),
    }

    def annotate(self, rows: Rows) -> Values:
        """See `RowAnnotator.annotate`."""
        values, lengths = rows.codes.values, rows.codes.lengths
        longest, tail = runs(values, lengths)
        owner = np.repeat(np.arange(len(lengths)), lengths)
        _, place, counts = np.unique(
            owner.astype(np.int64) << 16 | values.astype(np.int64), return_index=True, return_counts=True
        )
        kinds = np.bincount(owner[place], minlength=len(lengths))
        share = counts / lengths[owner[place]]
        return {
            "code_entropy": row_sums(-share * np.log2(share), kinds).round(4),
            "code_distinct": (kinds / np.maximum(lengths, 1)).round(4),
            "code_run": longest,
            "code_tail": tail,
            "code_loop": repeats(values, lengths, MAX_PERIOD),
        }
