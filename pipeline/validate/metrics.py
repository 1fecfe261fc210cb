"""What `report/metrics.json` says: the names of its figures, and how they follow from what was measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.audio.quality import AudioQuality
from pipeline.recognise.error_rate import SWAPPED
from pipeline.validate import summary
from pipeline.validate.checks import Check, passes
from pipeline.validate.listening.fidelity import MATCHED
from pipeline.validate.listening.round_trip import Figures
from pipeline.validate.rows.codebook import codebook_use
from pipeline.validate.rows.scan import Scan
from pipeline.validate.suspects import Suspects

RULES = (  # that a row of a sound dataset keeps, see integrity.py
    "missing_value",
    "code_outside_codebook",
    "wrong_code_count",
    "not_in_plan",
    "text_differs_from_plan",
    "audio_differs_from_plan",
)
STUCK = ("long_run_of_one_code", "stuck_tail", "loop")
FEW = 30  # rows of a language below which its length correlation says nothing
SENTENCES = 20  # of a kind, that are kept


def of_checks(checks: Sequence[Check], *, unheard: bool) -> dict[str, Any]:
    """Return `verdict` and `checks`; `unheard`: nothing could be listened to, though it was wanted."""
    sound = "not judged" if unheard else "pass"
    return {
        "verdict": sound if passes(list(checks)) else "fail",
        "checks": [dataclasses.asdict(check) for check in checks],
    }


def of_scan(scan: Scan) -> dict[str, Any]:
    """Return `dataset`, `integrity` and `statistics`."""
    rows = max(scan.rows, 1)
    unaccounted = abs(scan.planned - scan.rows - scan.rejected) if scan.planned else 0
    damaged = len(scan.file_faults) + len(scan.form_faults) + scan.shards_of_another_plan
    broken = sum(scan.faults[rule] for rule in RULES) + scan.duplicates.get("id", 0) + unaccounted
    return {
        "dataset": {
            "rows": scan.rows,
            "rejected": scan.rejected,
            "planned": scan.planned,
            "hours": round(scan.texts.seconds / 3600, 4),
            "codes": int(scan.codes.counts.sum()),
        },
        "integrity": {
            "broken_share": min((broken + damaged) / rows, 1.0) if scan.rows else 1.0,
            "rows_unaccounted": unaccounted,
            "shards_unfinished": scan.shards_unfinished,
            "shards_of_another_plan": scan.shards_of_another_plan,
            "files_damaged": len(scan.file_faults),
            "files_of_another_form": len(scan.form_faults),
            "sentences": [*scan.file_faults[:SENTENCES], *scan.form_faults[:SENTENCES]],
            "rows": dict(sorted(scan.faults.items())),
            "duplicates": scan.duplicates,
            "duplicate_codes_share": scan.duplicates.get("codes", 0) / rows,
            "too_long_share": scan.faults["exceeds_training_length"] / rows,
        },
        "statistics": _statistics(scan, rows),
    }


def _statistics(scan: Scan, rows: int) -> dict[str, Any]:
    languages = scan.texts.languages
    counted = [one for one in languages if one.rows >= FEW]
    weights = [one.rows for one in counted]
    described = max(sum(one.rows for one in languages), 1)
    implausible = sum(one.rows for one in languages if not one.is_plausible)
    return {
        "codebook": dataclasses.asdict(codebook_use(scan.codes.counts)) if len(scan.codes.counts) else {},
        "stuck_share": sum(scan.faults[rule] for rule in STUCK) / rows,
        "rate_outlier_share": scan.texts.outliers / rows,
        "implausible_rate_share": implausible / described,
        "length_correlation": (
            float(np.average([one.correlation for one in counted], weights=weights)) if counted else None
        ),
        "languages": {
            one.language or "unnamed": {**dataclasses.asdict(one), "is_plausible": one.is_plausible}
            for one in languages
        },
        "longest_runs": scan.codes.longest_runs.tolist(),
        "durations": scan.texts.durations.tolist(),
        "rates": scan.texts.rate_histogram.tolist(),
    }


def of_sample(rows: Sequence[Figures]) -> dict[str, Any]:
    """Return `audio` and `round_trip`; empty without a sample."""
    if not rows:
        return {"audio": {}, "round_trip": {}}
    return {"audio": summary.audio_summary(rows), "round_trip": summary.round_trip_summary(rows)}


def of_speech(spoken: Sequence[Figures], rows: Sequence[Figures], model: str) -> dict[str, Any]:
    """Return `speaking`; empty without a model. `rows`: the round trip, whose words it is compared with."""
    if not spoken:
        return {}
    decoded = {row["row"]: row for row in rows if "errors_decoded" in row}
    joined = [
        {**one, "errors_decoded": decoded[one["row"]]["errors_decoded"]} if one["row"] in decoded else one
        for one in spoken
    ]
    return {"model": model, "texts": len(spoken), **summary.speaking_summary(joined)}


def note_suspects(suspects: Suspects, rows: Sequence[Figures]) -> None:
    """Note rows of the sample with bad audio, other words, or decoded audio that is not of its source."""
    for row in rows:
        for reason, (score, value) in _sample_faults(row).items():
            suspects.add(reason, np.array([row["row"]]), score, np.array([value]))


def _sample_faults(row: Figures) -> dict[str, tuple[float, float]]:
    """Return reason: score and figure."""
    if "problem" in row:
        return {"source_cannot_be_decoded": (1.0, np.nan)}
    faults = AudioQuality(**row["sound"]).faults()
    correlation = row["fidelity"]["mel_correlation"]
    if correlation < MATCHED:
        faults["decoded_is_not_its_source"] = (1 + MATCHED - correlation, correlation)
    if summary.has_other_words(row):
        rate = row["errors_source"] / row["length"]
        faults["other_words_are_heard"] = (rate / SWAPPED, rate)
    return faults
