"""From figures to a verdict: each check holds one figure against one threshold, and says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.config import ValidationSettings

Outcome = Literal["passed", "unsure", "failed", "skipped"]
Metrics = Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """A check to make; `figure`: where it stands in the metrics, dotted; `limit`: the setting's name."""

    title: str
    figure: str
    limit: str
    at_most: bool
    advice: str


@dataclass(frozen=True)
class Check:
    """A rule's outcome; `low` and `high` bound the value if it is an estimate."""

    title: str
    figure: str
    outcome: Outcome
    value: float | None
    low: float | None
    high: float | None
    limit: float
    at_most: bool
    advice: str


RULES = (
    Rule(
        "Every row keeps the format's rules",
        "integrity.broken_share",
        "max_broken",
        True,
        "See below which rule is broken. Delete the state files of the shards concerned and run create "
        "again, or leave the suspect rows out with --exclude.",
    ),
    Rule(
        "No audio twice",
        "integrity.duplicate_codes_share",
        "max_duplicates",
        True,
        "Rows with equal codes have equal audio: leave the repeated ones out with --exclude.",
    ),
    Rule(
        "Rows fit the training length",
        "integrity.too_long_share",
        "max_too_long",
        True,
        "Training drops or cuts these rows: lower limits.max_seconds, or cut long recordings into sentences.",
    ),
    Rule(
        "Codes do not get stuck",
        "statistics.stuck_share",
        "max_stuck",
        True,
        "Long runs of one code are silence, hum or a broken encoding; a model learns to never stop from "
        "them. Listen to the suspects, and trim or exclude them.",
    ),
    Rule(
        "The codebook is used",
        "statistics.codebook.share_of_reachable",
        "min_codebook",
        False,
        "Few codes for that much speech: is it the codec that you meant, at the right sample rate?",
    ),
    Rule(
        "Codes carry information",
        "statistics.codebook.entropy_share",
        "min_entropy",
        False,
        "The codes say little: look for silence, noise or much repetition in the audio.",
    ),
    Rule(
        "Text lengths fit durations",
        "statistics.rate_outlier_share",
        "max_rate_outliers",
        True,
        "Texts are cut short or wrong, or clips have long pauses or another speed: listen to the suspects.",
    ),
    Rule(
        "Longer texts take longer",
        "statistics.length_correlation",
        "min_length_correlation",
        False,
        "Text length says nothing of duration, as when transcripts are shuffled or off by one line: "
        "check the transcript file against a few clips by ear.",
    ),
    Rule(
        "Speech rates are human",
        "statistics.implausible_rate_share",
        "max_rate_outliers",
        True,
        "The middle of a language's speech rate lies outside what people speak: was the audio played at "
        "another speed or sample rate, or is the language column wrong?",
    ),
    Rule(
        "The source says what the text says",
        "round_trip.rows_with_other_words",
        "max_mismatched",
        True,
        "The recogniser hears other words in the source. Check that transcripts and audio belong together; "
        "if the recogniser does not know the language, give a better one with --asr.",
    ),
    Rule(
        "Recordings are sound",
        "audio.rows_with_bad_audio",
        "max_bad_audio",
        True,
        "Clipped, faint, offset or speechless recordings: clean them, or leave the suspects out.",
    ),
    Rule(
        "Codes are those of the clip alone",
        "exact.agreement",
        "min_agreement",
        False,
        "The codes are not what the codec gives for these clips: they come from another clip, another "
        "sample rate, other weights, or batches without masks. Encode again with this pipeline.",
    ),
    Rule(
        "Clips end as they do alone",
        "exact.agreement_of_last_codes",
        "min_agreement",
        False,
        "The last codes differ: the mark of padded batches, or of codes dropped at the end. Encode again "
        "with this pipeline.",
    ),
    Rule(
        "Decoded audio is of its own source",
        "round_trip.rows_matched",
        "min_matched",
        False,
        "Decoded codes do not move as their source does: they do not belong to it, or the codec cannot code "
        "this material.",
    ),
    Rule(
        "Decoded speech stays intelligible",
        "round_trip.stoi",
        "min_stoi",
        False,
        "The codec loses too much of this speech: check sample rate and level, or take a better codec.",
    ),
    Rule(
        "Words survive the codec",
        "round_trip.error_rise",
        "max_word_error_rise",
        True,
        "Decoded audio loses words that the source has, and a model cannot speak better than its codes: take "
        "a codec trained on such material.",
    ),
    Rule(
        "Quality survives the codec",
        "round_trip.mos_drop",
        "max_mos_drop",
        True,
        "Decoded audio sounds worse than its source: take a codec trained on such material.",
    ),
    Rule(
        "The model says what it is given",
        "speaking.error_rise",
        "max_spoken_error_rise",
        True,
        "The model loses words that the codec keeps: train longer, or look for mismatched texts.",
    ),
    Rule(
        "The model knows when to stop",
        "speaking.ended",
        "min_ended",
        False,
        "Speech goes on to the length limit: look for stuck tails and for rows without their end.",
    ),
)


def judge(metrics: Metrics, settings: ValidationSettings) -> list[Check]:
    """Return every check, in the order of the report. A figure that was not measured is skipped."""
    return [_check(rule, metrics, settings) for rule in RULES]


def passes(checks: list[Check]) -> bool:
    """Return whether no check failed.

    One that is unsure does not fail the dataset: a larger sample decides it.
    """
    return all(check.outcome != "failed" for check in checks)


def _check(rule: Rule, metrics: Metrics, settings: ValidationSettings) -> Check:
    limit = float(getattr(settings, _limit_name(rule, metrics)))
    value, low, high = _figure(metrics, rule.figure)
    outcome: Outcome = "skipped"
    if value is not None:
        best = low if rule.at_most else high  # of the interval; a figure of all rows has none
        if _holds(value, limit, rule.at_most):
            outcome = "passed"
        elif best is not None and _holds(best, limit, rule.at_most):
            outcome = "unsure"
        else:
            outcome = "failed"
    return Check(rule.title, rule.figure, outcome, value, low, high, limit, rule.at_most, rule.advice)


def _limit_name(rule: Rule, metrics: Metrics) -> str:
    halved = metrics.get("exact", {}).get("precision", "fp32") not in ("fp32", "float32")
    return "min_agreement_half" if rule.limit == "min_agreement" and halved else rule.limit


def _holds(value: float, limit: float, at_most: bool) -> bool:
    return value <= limit if at_most else value >= limit


def _figure(metrics: Metrics, path: str) -> tuple[float | None, float | None, float | None]:
    """Return a figure with its bounds, all None if it was not measured."""
    found: Any = metrics
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, Mapping):
        return found["value"], found["low"], found["high"]
    return (None if found is None else float(found)), None, None
