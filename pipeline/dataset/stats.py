"""Totals and distributions of a dataset, kept per shard and added up: no pass over the rows at the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from pipeline.dataset.state import State

CHARS_BIN = 20  # characters a bin of the text length distribution


def distributions(table: pa.Table) -> dict[str, dict[str, float]]:
    """Count how the rows of a shard are distributed.

    `duration`: rows by whole seconds; `chars`: rows by text length, each bin named by its lower bound;
    `sample_rate`: rows by Hz; `speaker`, `language`: seconds by name.
    """
    found = {
        "duration": _counts(pc.floor(table["duration"]).cast(pa.int64())),
        "chars": _counts(pc.multiply(pc.divide(pc.utf8_length(table["text"]), CHARS_BIN), CHARS_BIN)),
        "sample_rate": _counts(table["sample_rate"]),
    }
    for column in ("speaker", "language"):
        if column in table.column_names:
            grouped = table.group_by(column).aggregate([("duration", "sum")]).to_pylist()
            named = {
                str(row[column]): round(row["duration_sum"], 3) for row in grouped if row[column] is not None
            }
            found[column] = dict(sorted(named.items()))
    return found


def _counts(values: pa.ChunkedArray) -> dict[str, float]:
    counted = {entry["values"]: entry["counts"] for entry in pc.value_counts(values).to_pylist()}
    return {str(value): counted[value] for value in sorted(counted)}


def totals(states: Iterable[State]) -> dict[str, Any]:
    """Return what `stats.json` says: counts, hours, rejections, distributions, throughput by stage."""
    total: defaultdict[str, float] = defaultdict(float)
    reasons: defaultdict[str, int] = defaultdict(int)
    timings: defaultdict[str, float] = defaultdict(float)
    spread: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    codecs = []
    for state in states:
        total["shards"] += 1
        for name in ("rows", "rejected", "codes", "seconds"):
            total[name] += getattr(state, name)
        for reason, count in state.reasons.items():
            reasons[reason] += count
        for stage, seconds in state.timings.items():
            timings[stage] += seconds
        for name, values in state.distributions.items():
            for value, number in values.items():
                spread[name][value] += number
        if state.codec not in codecs:
            codecs.append(state.codec)
    busy = timings["load"] + timings["encode"]
    return {
        "utterances": int(total["rows"] + total["rejected"]),
        "rows": int(total["rows"]),
        "rejected": int(total["rejected"]),
        "reasons": dict(sorted(reasons.items())),
        "shards": int(total["shards"]),
        "codes": int(total["codes"]),
        "hours": round(total["seconds"] / 3600, 4),
        "codecs": codecs,
        "distributions": {name: _ordered(values) for name, values in sorted(spread.items())},
        "stage_seconds": {stage: round(seconds, 3) for stage, seconds in sorted(timings.items())},
        "times_real_time": round(total["seconds"] / busy, 1) if busy else None,
    }


def _ordered(values: Mapping[str, float]) -> dict[str, float]:
    keys = sorted(values, key=lambda key: (0, int(key), "") if key.isdigit() else (1, 0, key))
    return {key: round(values[key], 3) for key in keys}


def in_words(reasons: Mapping[str, int]) -> str:
    """List rejections by reason, the most frequent first."""
    ordered = sorted(reasons.items(), key=lambda item: -item[1])
    return ", ".join(f"{number:,} {reason}" for reason, number in ordered)


def spoken_time(hours: float) -> str:
    """Return an amount of speech as people say it: 4.8 minutes, 2.50 hours."""
    if hours < 1:
        return f"{hours * 60:.1f} minutes"
    return f"{hours:,.{1 if hours >= 10 else 2}f} hours"
