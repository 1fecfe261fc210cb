"""Writes `report/index.html`: chooses rows to listen to, decodes them again, and puts the page together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from pipeline.audio.decode import AudioError
from pipeline.dataset.reader import Dataset
from pipeline.errors import UsageError
from pipeline.select.api import EVERYTHING
from pipeline.storage.files import write_text
from pipeline.validate.listening.sample import SampleRow, read_rows
from pipeline.validate.report import wording
from pipeline.validate.report.distributions import write_distributions
from pipeline.validate.report.page import ClipCard, Sounding, page
from pipeline.validate.report.pictures import player, spectrogram

if TYPE_CHECKING:
    from pipeline.validate.session import Inputs, Outcome

WORST, SAMPLED = 6, 6  # rows with players: of the suspects, of the sample
LONGEST = 20.0  # seconds that a player holds: the file is to stay small


def write_report(dataset: Dataset, outcome: Outcome, parts: Inputs) -> Path:
    """Write the page and return its path."""
    cards = [] if parts.codec is None else _cards(dataset, outcome, parts)
    path = outcome.report / "index.html"
    title, measured = dataset.root.resolve().name, _annotations(dataset, outcome.report)
    write_text(path, page(title, outcome.metrics, outcome.checks, outcome.suspects, cards, measured))
    return path


def _annotations(dataset: Dataset, report: Path) -> str:
    """Write a page of what `annotate` measured and return a link to it; else why there is none."""
    if not dataset.annotators():
        return ""
    path = report / "distributions.html"
    try:
        write_distributions(dataset, EVERYTHING, path)
    except UsageError as error:
        return str(error)
    return Markup('<a href="{}">What annotate measured of every row</a>').format(path.name)


def _cards(dataset: Dataset, outcome: Outcome, parts: Inputs) -> list[ClipCard]:
    suspects = {entry["row"]: entry for entry in outcome.suspects}
    spoken = {row["row"]: row for row in outcome.spoken}
    measured = {row["row"]: row for row in outcome.rows}
    first = list(spoken) if spoken else list(measured)
    chosen = dict.fromkeys([*list(suspects)[:WORST], *first[:SAMPLED]])
    rows = {row.row: row for row in read_rows(dataset, outcome.scan.shard_rows, chosen)}
    return [
        ClipCard(
            id=row.id,
            text=row.text,
            facts=_facts(measured.get(number, {})),
            reasons=[
                wording.reason(suspects[number], name)
                for name in suspects.get(number, {"reasons": []})["reasons"]
            ],
            sounds=_sounds(row, measured.get(number, {}), spoken.get(number, {}), parts),
        )
        for number in chosen
        if (row := rows.get(number)) is not None
    ]


def _facts(figures: Mapping[str, Any]) -> list[str]:
    """Return what was measured of the row, briefly."""
    scores = figures.get("scores", {})
    names = {"stoi": "STOI", "pesq_wb": "PESQ", "mos_source": "MOS", "mos_decoded": "MOS decoded"}
    return [f"{said} {scores[name]:.2f}" for name, said in names.items() if name in scores]


def _sounds(
    row: SampleRow, figures: Mapping[str, Any], spoken: Mapping[str, Any], parts: Inputs
) -> Sequence[Sounding]:
    codec, found = parts.codec, []
    if codec is None:
        return []
    if parts.recordings is not None:
        try:
            waveform = parts.recordings.load(row)[2]
        except AudioError:
            pass  # the row's reasons say so
        else:
            found.append(_sounding("source", figures.get("heard_source"), waveform, codec.sample_rate))
    for caption, codes, heard in (
        ("decoded", row.codes, figures.get("heard_decoded")),
        ("spoken by the model", np.array(spoken.get("codes", ())), spoken.get("heard_spoken")),
    ):
        if len(codes) and codes.min() >= 0 and codes.max() < codec.codebook_size:
            waveform = codec.decode([codes.astype(np.uint16)])[0]
            found.append(_sounding(caption, heard, waveform, codec.output_sample_rate))
    return found


def _sounding(caption: str, heard: str | None, waveform: np.ndarray, rate: int) -> Sounding:
    shown = waveform[: round(LONGEST * rate)]
    return Sounding(caption, heard, player(shown, rate), spectrogram(shown, rate))
