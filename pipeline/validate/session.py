"""One validation from start to finish: scan, sample, exactness, speech, verdict."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.config import ValidationSettings
from pipeline.dataset.reader import Dataset
from pipeline.progress import Progress
from pipeline.recognise.error_rate import in_language
from pipeline.recognise.recogniser import Recogniser
from pipeline.storage.files import write_text
from pipeline.validate import metrics as figures_of
from pipeline.validate.checks import Check, judge
from pipeline.validate.listening import audio_quality, packages
from pipeline.validate.listening.exact import Encode, compare_rows
from pipeline.validate.listening.packages import Missing
from pipeline.validate.listening.recognise import find_recogniser
from pipeline.validate.listening.round_trip import Figures, Listener, measure_sample
from pipeline.validate.listening.sample import Recordings, SampleRow, choose, find_ids, read_rows
from pipeline.validate.listening.speaking import Speak, speak_rows
from pipeline.validate.rows.scan import Fits, Scan, Scanner
from pipeline.validate.suspects import Suspects, write_suspects

if TYPE_CHECKING:
    from pipeline.codec.protocol import Codec

Say = Callable[[str], None]


@dataclass(frozen=True)
class Inputs:
    """What a validation is given beside the dataset; what lacks its input is left out.

    `codec`: with its decoder, in fp32; `alone`: the reference that encodes one clip; `speak`: a model, by
    the name `model`, that did not learn the ids in `held_out`; `notes`: sentences for the report on what
    is missing and why.
    """

    codec: Codec | None = None
    alone: Encode | None = None
    recordings: Recordings | None = None
    fits: Fits | None = None
    speak: Speak | None = None
    model: str = ""
    held_out: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


@dataclass
class Outcome:
    """Everything that the report shows."""

    metrics: dict[str, Any]
    checks: list[Check]
    scan: Scan
    rows: list[Figures] = field(default_factory=list)  # of the round trip
    spoken: list[Figures] = field(default_factory=list)
    suspects: list[dict[str, Any]] = field(default_factory=list)  # worst first


def validate(dataset: Dataset, settings: ValidationSettings, parts: Inputs, say: Say) -> Outcome:
    """Look at a dataset; writes `report/metrics.json` and `report/suspects.jsonl`."""
    report = dataset.root / "report"
    suspects = Suspects(settings.keep_suspects)
    scan = _scan(dataset, settings, parts, suspects, report / "work")
    sampled = choose(scan.rows, settings.sample, settings.seed)
    say(f"{scan.rows:,} rows read; {len(sampled):,} of them to listen to")
    rows, missing, recogniser = _round_trip(dataset, settings, parts, scan, sampled, report / "work")
    figures_of.note_suspects(suspects, rows)
    exact = _exact(dataset, settings, parts, scan, suspects)
    spoken = _speak(dataset, settings, parts, scan, sampled, recogniser, report / "work")
    metrics: dict[str, Any] = {
        **figures_of.of_scan(scan),
        **figures_of.of_sample(rows),
        "exact": exact,
        "speaking": figures_of.of_speech(spoken, rows, parts.model),
        "suspects": suspects.totals(),
        "missing": [dataclasses.asdict(one) for one in missing],
        "notes": list(parts.notes),
        "settings": settings.model_dump(),
    }
    checks = judge(metrics, settings)
    metrics = {**figures_of.of_checks(checks), **metrics}
    ranked = suspects.ranked()
    described = _describe(dataset, scan, ranked)
    write_suspects(report / "suspects.jsonl", ranked, described.__getitem__)
    write_text(report / "metrics.json", json.dumps(metrics, indent=1, ensure_ascii=False) + "\n")
    named = [{**described[entry["row"]], **entry} for entry in ranked]
    return Outcome(metrics, checks, scan, rows, spoken, named)


def _scan(
    dataset: Dataset, settings: ValidationSettings, parts: Inputs, suspects: Suspects, work: Path
) -> Scan:
    total = sum(state.rows for state in dataset.states())
    with Progress("reading", total, unit="row") as progress:
        return Scanner(dataset, settings, work, suspects, parts.fits).run(progress.counted)


def _round_trip(
    dataset: Dataset,
    settings: ValidationSettings,
    parts: Inputs,
    scan: Scan,
    sampled: Sequence[int],
    work: Path,
) -> tuple[list[Figures], list[Missing], Recogniser | None]:
    if parts.codec is None or parts.recordings is None or not sampled:
        return [], [], None
    recogniser, missing = find_recogniser(settings.asr)
    scores, scores_missing = packages.load_scores()
    detector, detector_missing = packages.load_speech_detector()
    missing += scores_missing + detector_missing
    listener = Listener(
        codec=parts.codec,
        recordings=parts.recordings,
        scores=scores,
        speech=detector or audio_quality.speech_by_level,
        recogniser=recogniser,
        language=settings.asr_language,
        name=json.dumps(
            [
                parts.codec.fingerprint,
                settings.asr_language,
                None if recogniser is None else recogniser.name,
                [one.package for one in missing],
            ]
        ),
    )
    rows = read_rows(dataset, scan.shard_rows, sampled)
    with Progress("listening", len(sampled), unit="row") as progress:
        measured = measure_sample(rows, listener, work / "round_trip.jsonl", progress.counted)
    return measured, missing, recogniser


def _exact(
    dataset: Dataset, settings: ValidationSettings, parts: Inputs, scan: Scan, suspects: Suspects
) -> dict[str, Any]:
    if parts.alone is None or parts.recordings is None or settings.exact == 0:
        return {}
    chosen = choose(scan.rows, settings.exact, settings.seed)
    with Progress("encoding again", len(chosen), unit="row") as progress:
        rows = read_rows(dataset, scan.shard_rows, chosen)
        agreement = compare_rows(rows, parts.recordings, parts.alone, progress.counted)
    limit = settings.min_agreement
    for row, (equal, compared) in agreement.rows.items():
        share = equal / max(compared, 1)
        if share < limit:
            score = (1 - share) / max(1 - limit, 1e-3)
            suspects.add("codes_of_something_else", np.array([row]), score, np.array([share]))
    states = dataset.states()
    precision = str(states[0].codec.get("precision", "fp32")) if states else "fp32"
    return {"precision": precision, **agreement.figures()}


def _speak(
    dataset: Dataset,
    settings: ValidationSettings,
    parts: Inputs,
    scan: Scan,
    sampled: Sequence[int],
    recogniser: Recogniser | None,
    work: Path,
) -> list[Figures]:
    if parts.speak is None or settings.speak == 0:
        return []
    rows = _texts_to_speak(dataset, settings, parts, scan, sampled, recogniser)
    with Progress("speaking", len(rows), unit="text") as progress:
        return speak_rows(
            rows,
            parts.speak,
            recogniser,
            settings.asr_language,
            work / "speaking.jsonl",
            json.dumps([parts.model, None if recogniser is None else recogniser.name]),
            progress.counted,
        )


def _texts_to_speak(
    dataset: Dataset,
    settings: ValidationSettings,
    parts: Inputs,
    scan: Scan,
    sampled: Sequence[int],
    recogniser: Recogniser | None,
) -> list[SampleRow]:
    """Return rows named as held out; else rows of the sample, those that can be judged first."""
    numbers = find_ids(dataset, scan.shard_rows, parts.held_out) if parts.held_out else sampled
    rows = [row for row in read_rows(dataset, scan.shard_rows, numbers) if row.text.strip()]
    wanted = settings.asr_language or (recogniser.language if recogniser else None)
    rows.sort(key=lambda row: not in_language(row.language, row.text, wanted))
    return rows[: settings.speak]


def _describe(dataset: Dataset, scan: Scan, ranked: Sequence[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return id, text and audio of the suspects, by row number."""
    rows = read_rows(dataset, scan.shard_rows, [entry["row"] for entry in ranked])
    return {row.row: {"id": row.id, "text": row.text, "audio": row.audio} for row in rows}
