"""One validation from start to finish: scan, sample, exactness, speech, verdict."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.audio import quality as audio_quality
from pipeline.config import ValidationSettings
from pipeline.dataset.reader import Dataset
from pipeline.progress import Progress, plural
from pipeline.storage.files import write_text
from pipeline.validate import metrics as figures_of
from pipeline.validate.checks import Check, judge
from pipeline.validate.listening import packages
from pipeline.validate.listening.exact import Encode, compare_rows
from pipeline.validate.listening.packages import INSTALL, Missing
from pipeline.validate.listening.recognise import Judge, find_judge
from pipeline.validate.listening.round_trip import Figures, Listener, measure_sample
from pipeline.validate.listening.sample import (
    Recordings,
    SampleRow,
    choose,
    find_ids,
    read_rows,
    with_languages,
)
from pipeline.validate.listening.speaking import Speak, speak_rows
from pipeline.validate.rows.scan import Fits, Scan, Scanner
from pipeline.validate.suspects import Suspects, write_suspects

if TYPE_CHECKING:
    from pipeline.codec.protocol import Codec


@dataclass(frozen=True)
class Inputs:
    """What a validation is given beside the dataset; what lacks its input is left out.

    `codec`: with its decoder, in fp32; `alone`: the reference that encodes one clip; `speak`: a model, by
    a `model` name that tells its content, that did not learn the ids in `held_out`; `notes`: sentences for
    the report on what is missing and why.
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
    """Everything that the report shows, and the folder `report` it is in."""

    report: Path
    metrics: dict[str, Any]
    checks: list[Check]
    scan: Scan
    rows: list[Figures] = field(default_factory=list)  # of the round trip
    spoken: list[Figures] = field(default_factory=list)
    suspects: list[dict[str, Any]] = field(default_factory=list)  # worst first

    @property
    def verdict(self) -> str:
        """`pass`, `fail`, or `not judged` if the recordings to compare with were out of reach."""
        return str(self.metrics["verdict"])


@dataclass
class Session:
    """Validates one dataset into the folder `report`."""

    dataset: Dataset
    settings: ValidationSettings
    inputs: Inputs
    report: Path
    say: Callable[[str], object]

    def run(self) -> Outcome:
        """Judge the dataset; writes `metrics.json` and `suspects.jsonl`."""
        settings = self.settings
        if self.inputs.codec is not None:
            _ = self._judge  # a recogniser that cannot be loaded ends the run before every row is read
        scan = self.scan
        self.say(f"{plural(scan.rows, 'row')} read; {len(self._sampled):,} of them to listen to")
        rows = self._round_trip()
        figures_of.note_suspects(self._suspects, rows)
        exact = self._exact()
        spoken = self._speak()
        wanted = scan.rows > 0 and settings.sample + settings.exact > 0
        compared = any("fidelity" in row for row in rows) or exact.get("rows", 0) > 0
        metrics: dict[str, Any] = {
            **figures_of.of_scan(scan),
            **figures_of.of_sample(rows),
            "exact": exact,
            "speaking": figures_of.of_speech(spoken, rows, self.inputs.model),
            "suspects": self._suspects.totals(),
            "missing": [dataclasses.asdict(one) for one in self._missing],
            "notes": [*self.inputs.notes, *self._notes],
            "settings": settings.model_dump(),
        }
        checks = judge(metrics, settings)
        metrics = {**figures_of.of_checks(checks, unheard=wanted and not compared), **metrics}
        ranked = self._suspects.ranked()
        described = self._describe(ranked)
        write_suspects(self.report / "suspects.jsonl", ranked, described.__getitem__)
        write_text(self.report / "metrics.json", json.dumps(metrics, indent=1, ensure_ascii=False) + "\n")
        named = [{**described[entry["row"]], **entry} for entry in ranked]
        return Outcome(self.report, metrics, checks, scan, rows, spoken, named)

    def __post_init__(self) -> None:
        self._suspects = Suspects(self.settings.keep_suspects)
        self._work = self.report / "work"
        self._missing: list[Missing] = []
        self._notes: list[str] = []

    @cached_property
    def scan(self) -> Scan:
        """What reading every row shows."""
        total = sum(state.rows for state in self.dataset.states())
        with Progress("reading", total, unit="row") as progress:
            scanner = Scanner(self.dataset, self.settings, self._work, self._suspects, self.inputs.fits)
            return scanner.run(progress.counted)

    @cached_property
    def _sampled(self) -> list[SampleRow]:
        return self._rows(choose(self.scan.rows, self.settings.sample, self.settings.seed))

    def _rows(self, numbers: Sequence[int]) -> list[SampleRow]:
        return with_languages(list(read_rows(self.dataset, self.scan.shard_rows, numbers)))

    @cached_property
    def _judge(self) -> Judge | None:
        found, missing = find_judge(self.settings.asr, self.settings.asr_language)
        self._missing += missing
        return found

    def _round_trip(self) -> list[Figures]:
        codec, recordings = self.inputs.codec, self.inputs.recordings
        if codec is None or recordings is None or not self._sampled:
            return []
        judge = self._judge
        if judge is not None:
            self._notes += judge.notes(self._sampled)
            nameless = any(row.language is None for row in self._sampled)
            if nameless and importlib.util.find_spec("lingua") is None:
                purpose = "word errors of rows whose language the dataset does not name"
                self._missing.append(Missing("lingua", purpose, INSTALL.format("lingua-language-detector")))
        scores, without_scores = packages.load_scores()
        detector, without_detector = packages.load_speech_detector()
        self._missing += without_scores + without_detector
        measured_by = {
            "codec": codec.fingerprint,
            "recogniser": None if judge is None else [judge.name, judge.language],
            "without": [one.package for one in self._missing],
        }
        speech = detector or audio_quality.speech_by_level
        listener = Listener(codec, recordings, scores, speech, judge, json.dumps(measured_by))
        with Progress("listening", len(self._sampled), unit="row") as progress:
            log = self._work / "round_trip.jsonl"
            return measure_sample(self._sampled, listener, log, progress.counted)

    def _exact(self) -> dict[str, Any]:
        inputs, settings = self.inputs, self.settings
        if inputs.alone is None or inputs.recordings is None or settings.exact == 0:
            return {}
        chosen = choose(self.scan.rows, settings.exact, settings.seed)
        with Progress("encoding again", len(chosen), unit="row") as progress:
            rows = read_rows(self.dataset, self.scan.shard_rows, chosen)
            agreement = compare_rows(rows, inputs.recordings, inputs.alone, progress.counted)
        limit = settings.min_agreement
        for row, (equal, compared) in agreement.rows.items():
            share = equal / max(compared, 1)
            if share < limit:
                score = (1 - share) / max(1 - limit, 1e-3)
                self._suspects.add("codes_of_something_else", np.array([row]), score, np.array([share]))
        states = self.dataset.states()
        precision = str(states[0].codec.get("precision", "fp32")) if states else "fp32"
        return {"precision": precision, **agreement.figures()}

    def _speak(self) -> list[Figures]:
        inputs = self.inputs
        if inputs.speak is None or self.settings.speak == 0:
            return []
        rows = self._texts_to_speak()
        measured_by = json.dumps([inputs.model, None if self._judge is None else self._judge.name])
        with Progress("speaking", len(rows), unit="text") as progress:
            log = self._work / "speaking.jsonl"
            return speak_rows(rows, inputs.speak, self._judge, log, measured_by, progress.counted)

    def _texts_to_speak(self) -> list[SampleRow]:
        """Return rows named as held out; else rows of the sample, those that can be judged first."""
        rows, held_out = self._sampled, self.inputs.held_out
        if held_out:
            rows = self._rows(find_ids(self.dataset, self.scan.shard_rows, held_out))
        rows = [row for row in rows if row.text.strip()]
        rows.sort(key=lambda row: self._judge is not None and not self._judge.knows(row.language))
        return rows[: self.settings.speak]

    def _describe(self, ranked: Sequence[dict[str, Any]]) -> dict[int, dict[str, Any]]:
        """Return id, text and audio of the suspects, by row number."""
        rows = read_rows(self.dataset, self.scan.shard_rows, [entry["row"] for entry in ranked])
        return {row.row: {"id": row.id, "text": row.text, "audio": row.audio} for row in rows}
