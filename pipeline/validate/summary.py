"""What the sampled rows say together: estimates with intervals, of audio, round trip, recognition, speech."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.audio.quality import AudioQuality
from pipeline.recognise.error_rate import SWAPPED
from pipeline.validate.estimate import as_dict, mean, ratio
from pipeline.validate.listening.fidelity import MATCHED
from pipeline.validate.listening.round_trip import Figures

SOUND = ("leading_silence", "trailing_silence", "speech", "rms", "loudness", "clipped", "offset", "bandwidth")
FIDELITY = ("log_mel", "stft", "mel_correlation")
ENOUGH_WORDS = 3  # of a text, to tell other words from a word misheard

Summary = dict[str, dict[str, Any] | None]  # an estimate by name, as a dict; None without rows


def audio_summary(rows: Sequence[Figures]) -> Summary:
    """Summarise the sources: the mean of each figure, and shares of rows with a fault."""
    sounds = [row["sound"] for row in rows if "sound" in row]
    found = {name: as_dict(mean([one[name] for one in sounds])) for name in SOUND}
    measured = [AudioQuality(**one) for one in sounds]
    faults = [one.faults() for one in measured]
    for reason in ("clipped", "dc_offset", "little_speech", "faint"):
        found[f"rows_{reason}"] = as_dict(mean([float(reason in one) for one in faults]))
    found["rows_with_bad_audio"] = as_dict(mean([float(bool(one)) for one in faults]))
    found["rows_narrow"] = as_dict(mean([float(one.narrow) for one in measured]))
    found["rows_without_source"] = as_dict(mean([float("problem" in row) for row in rows]))
    return found


def round_trip_summary(rows: Sequence[Figures]) -> Summary:
    """Compare source and decoded: distances, scores, opinion and its fall, word errors and their rise."""
    done = [row for row in rows if "fidelity" in row]
    found = {name: as_dict(mean([row["fidelity"][name] for row in done])) for name in FIDELITY}
    correlations = [row["fidelity"]["mel_correlation"] for row in done]
    found["rows_matched"] = as_dict(mean([float(value >= MATCHED) for value in correlations]))
    for name in sorted({name for row in done for name in row["scores"]}):
        found[name] = as_dict(mean([row["scores"][name] for row in done if name in row["scores"]]))
    drops = [s["mos_source"] - s["mos_decoded"] for row in done if "mos_source" in (s := row["scores"])]
    found["mos_drop"] = as_dict(mean(drops))
    return found | recognition_summary(done)


def recognition_summary(rows: Sequence[Figures]) -> Summary:
    """Return word (or character) error rates by unit, their rise, and rows in which other words are heard."""
    heard = [row for row in rows if row.get("length")]
    found: Summary = {}
    for unit in ("word", "character"):
        chosen = [row for row in heard if row["unit"] == unit]
        lengths = [row["length"] for row in chosen]
        for kind in ("source", "decoded"):
            edits = [row[f"errors_{kind}"] for row in chosen]
            found[f"{unit}_errors_{kind}"] = as_dict(ratio(edits, lengths))
    rises = [row["errors_decoded"] - row["errors_source"] for row in heard]
    found["error_rise"] = as_dict(ratio(rises, [row["length"] for row in heard]))
    clear = [row for row in heard if row["length"] >= ENOUGH_WORDS]
    found["rows_with_other_words"] = as_dict(mean([float(has_other_words(row)) for row in clear]))
    return found


def has_other_words(row: Figures) -> bool:
    """Return whether the source says something else than the row's text."""
    length = row.get("length") or 0
    return length >= ENOUGH_WORDS and row["errors_source"] / length > SWAPPED


def speaking_summary(rows: Sequence[Figures]) -> Summary:
    """Summarise spoken texts: errors against the round trip's, endings and durations."""
    heard = [row for row in rows if row.get("length") and "errors_spoken" in row]
    lengths = [row["length"] for row in heard]
    compared = [row for row in heard if "errors_decoded" in row]
    rises = [row["errors_spoken"] - row["errors_decoded"] for row in compared]
    return {
        "errors_spoken": as_dict(ratio([row["errors_spoken"] for row in heard], lengths)),
        "error_rise": as_dict(ratio(rises, [row["length"] for row in compared])),
        "ended": as_dict(mean([float(row["ended"]) for row in rows])),
        "duration_ratio": as_dict(mean([row["duration_ratio"] for row in rows])),
        "rows_of_odd_duration": as_dict(mean([float(not 0.5 < row["duration_ratio"] < 2) for row in rows])),
    }
