"""Rows to look at: collected by row number while the dataset is read, named and put in order at the end.

A score says how far past its threshold a figure is: 1 is at the threshold. Memory is bounded: of each reason
the worst rows are kept and all are counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.storage.files import replacing

BROKEN = 100.0  # score of a row that breaks a rule, however far


@dataclass
class _Kept:
    total: int
    rows: np.ndarray  # int64
    scores: np.ndarray
    values: np.ndarray  # the figure, for the reason's sentence


class Suspects:
    """Rows by reason; `keep` bounds the rows kept of each reason."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._kept: dict[str, _Kept] = {}

    def add(
        self, reason: str, rows: np.ndarray, scores: np.ndarray | float, values: np.ndarray | None = None
    ) -> None:
        """Return row numbers (n,) with their scores, and the figures that the reason is about."""
        if len(rows) == 0:
            return
        known = self._kept.setdefault(reason, _Kept(0, np.empty(0, np.int64), np.empty(0), np.empty(0)))
        known.total += len(rows)
        known.rows = np.concatenate([known.rows, rows.astype(np.int64)])
        known.scores = np.concatenate([known.scores, np.broadcast_to(scores, len(rows))])
        known.values = np.concatenate(
            [known.values, np.full(len(rows), np.nan) if values is None else values]
        )
        if len(known.rows) > self._keep:
            best = np.sort(np.argsort(-known.scores, kind="stable")[: self._keep])
            known.rows, known.scores, known.values = (
                array[best] for array in (known.rows, known.scores, known.values)
            )

    def totals(self) -> dict[str, int]:
        """Return how many rows each reason has, the kept and the others."""
        return {reason: kept.total for reason, kept in sorted(self._kept.items())}

    def ranked(self) -> list[dict[str, Any]]:
        """Return a dict a row, worst first: row, score, reasons (a list), values (figure by reason)."""
        merged: dict[int, dict[str, Any]] = {}
        for reason, kept in sorted(self._kept.items()):
            for row, score, value in zip(
                kept.rows.tolist(), kept.scores.tolist(), kept.values.tolist(), strict=True
            ):
                entry = merged.setdefault(row, {"row": row, "score": 0.0, "reasons": [], "values": {}})
                entry["score"] = max(entry["score"], round(score, 3))
                entry["reasons"].append(reason)
                if not np.isnan(value):
                    entry["values"][reason] = round(value, 4)
        return sorted(
            merged.values(), key=lambda entry: (-entry["score"], -len(entry["reasons"]), entry["row"])
        )


def write_suspects(
    path: Path, ranked: Iterable[Mapping[str, Any]], describe: Callable[[int], Mapping[str, Any]]
) -> int:
    """Write JSONL that `create_dataset.py --exclude` takes; `describe(row)` gives a row's id and text.

    A row whose id is missing cannot be excluded by it, and is listed with an empty one. Returns the rows
    written.
    """
    written = 0
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for entry in ranked:
            file.write(json.dumps({**describe(entry["row"]), **entry}, ensure_ascii=False) + "\n")
            written += 1
    return written
