"""How annotations are distributed, and what a condition makes of them, as one HTML file.

Each column of figures has its histogram, with the condition's thresholds drawn in. One that has a threshold
has a curve too, of the hours kept as the threshold moves, and clips to listen to: the worst of those that it
leaves out, and those nearest to it on both sides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import numpy as np
from markupsafe import Markup, escape

from pipeline.annotate.files import read_annotations
from pipeline.audio.decode import AudioError
from pipeline.corpus import open_corpus
from pipeline.dataset.reader import Dataset
from pipeline.errors import PipelineError
from pipeline.progress import plural
from pipeline.select.api import select
from pipeline.select.condition import read_condition
from pipeline.select.rows import row_table
from pipeline.storage.files import write_text
from pipeline.validate.listening.sample import Recordings, read_rows
from pipeline.validate.report.page import HERE, ClipCard, Sounding
from pipeline.validate.report.pictures import HEIGHT, WIDTH, histogram, player, spectrogram

BINS = 40
WORST, NEAREST = 2, 1  # clips to hear of a threshold: left out by most, and nearest on either side
LONGEST = 20.0  # seconds that a player holds
DEADLINE = 60.0  # seconds that a recording may take to decode
THRESHOLD = re.compile(r"(\w+) ([<>])=? \(?(-?\d+(?:\.\d+)?)\b")  # as DuckDB writes it


@dataclass
class _Column:
    """What the page shows of a column; `hear`: numbers of rows to listen to, and why."""

    name: str
    meaning: str
    missing: int
    histogram: Markup
    curve: Markup | None = None
    hear: dict[int, str] = field(default_factory=dict)
    values: np.ndarray = field(default_factory=lambda: np.empty(0))
    clips: list[ClipCard] = field(default_factory=list)


def write_distributions(dataset: Dataset, where: str, path: Path) -> None:
    """Write the page to `path`. Raises UsageError as `select` does."""
    where = read_condition(where)
    selection = select(dataset, where)
    thresholds = {
        column: (sign, float(value))
        for clause in selection.left_out
        for column, sign, value in THRESHOLD.findall(clause)
    }
    meanings = _meanings(dataset)
    with row_table(dataset) as db:
        seconds = np.asarray(db.execute("SELECT duration FROM rows ORDER BY row").fetchnumpy()["duration"])
        columns = [
            _column(db, name, meaning, seconds, thresholds.get(name)) for name, meaning in meanings.items()
        ]
    columns.sort(key=lambda column: column.name not in thresholds)  # those of the condition first
    _listen(dataset, [column for column in columns if column.hear])
    template = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined
    ).get_template("distributions.html.jinja")
    css = (HERE / "style.css").read_text(encoding="utf-8")
    title = dataset.root.resolve().name
    given = {"where": where, "selection": selection, "columns": columns, "plural": plural}
    write_text(path, template.render(title=title, css=css, **given))


def _meanings(dataset: Dataset) -> dict[str, str]:
    """Return the columns of numbers among the annotations, with what each says."""
    found = {}
    for name in dataset.annotators():
        schema = next(read_annotations(dataset, name)).schema
        for one in schema:
            if str(one.type) in ("float", "double", "int32", "int64"):
                found[one.name] = (one.metadata or {}).get(b"meaning", b"").decode()
    return found


def _column(
    db: duckdb.DuckDBPyConnection,
    name: str,
    meaning: str,
    seconds: np.ndarray,
    threshold: tuple[str, float] | None,
) -> _Column:
    asked = f'SELECT CAST("{name}" AS DOUBLE) AS value FROM rows ORDER BY row'
    values = np.ma.filled(db.execute(asked).fetchnumpy()["value"].astype(float), np.nan)
    known = values[~np.isnan(values)]
    counts, edges = np.histogram(known, BINS) if len(known) else (np.zeros(1), np.arange(2.0))
    marks = [] if threshold is None else [threshold[1]]
    drawn = Markup(histogram(counts.tolist(), edges.tolist(), name, "rows", marks))
    column = _Column(name, meaning, int(np.isnan(values).sum()), drawn, values=values)
    if threshold is not None and len(known):
        column.curve = _curve(values, seconds, *threshold)
        column.hear = _to_hear(values, *threshold)
    return column


def _curve(values: np.ndarray, seconds: np.ndarray, sign: str, threshold: float) -> Markup:
    """Draw the hours that meet a threshold as it moves over the values."""
    places = np.linspace(np.nanmin(values), np.nanmax(values), BINS + 1)
    meets = values > places[:, None] if sign == ">" else values < places[:, None]
    hours = (meets * seconds).sum(axis=1) / 3600
    span, most = (places[-1] - places[0]) or 1.0, hours.max() or 1.0
    xs, ys = (places - places[0]) / span * WIDTH, HEIGHT - hours / most * (HEIGHT - 8)
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
    at = (threshold - places[0]) / span * WIDTH
    mark = f'<line x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{HEIGHT}"/>' if 0 <= at <= WIDTH else ""
    said = f"hours kept as the threshold moves: {most:.3g} at most"
    return Markup(
        f'<figure><figcaption>{escape(said)}</figcaption><svg class="histogram" role="img" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" aria-label="{escape(said)}"><polyline points="{line}" fill="none" '
        f'stroke="currentColor" stroke-width="2"/>{mark}</svg></figure>'
    )


def _to_hear(values: np.ndarray, sign: str, threshold: float) -> dict[int, str]:
    """Return numbers of the worst rows and of those nearest to the threshold, and what each is."""
    over = values - threshold if sign == ">" else threshold - values  # positive: it meets the threshold
    order = [int(row) for row in np.argsort(over, kind="stable") if not np.isnan(over[row])]
    out, kept = [row for row in order if over[row] <= 0], [row for row in order if over[row] > 0]
    found = dict.fromkeys(out[:WORST], "left out, by most")
    found |= dict.fromkeys(out[WORST:][-NEAREST:], "left out, just")
    return found | dict.fromkeys(kept[:NEAREST], "kept, just")


def _listen(dataset: Dataset, columns: Sequence[_Column]) -> None:
    """Give the columns their clips, with sound where the recordings are there."""
    numbers = {row for column in columns for row in column.hear}
    counts = {state.shard: state.rows for state in dataset.states()}
    rows = {row.row: row for row in read_rows(dataset, counts, numbers)}
    try:
        source = open_corpus(dataset.corpus()).source
    except PipelineError:
        recordings = None
    else:
        recordings = Recordings(source, 16_000, 3600.0, DEADLINE)
    sounds = {number: list(_sounds(row, recordings)) for number, row in rows.items()}
    for column in columns:
        column.clips = [
            ClipCard(
                rows[number].id,
                rows[number].text,
                [f"{column.name} {column.values[number]:.4g}"],
                [why],
                sounds[number],
            )
            for number, why in column.hear.items()
        ]


def _sounds(row: Any, recordings: Recordings | None) -> Iterator[Sounding]:
    if recordings is None:
        return
    try:
        waveform, rate, _ = recordings.load(row)
    except AudioError:
        return
    shown = waveform[: round(LONGEST * rate)]
    yield Sounding("source", None, player(shown, rate), spectrogram(shown, rate))
