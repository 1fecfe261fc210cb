"""The report as one HTML file: verdict, what to do, figures, pictures, players.

`page.html.jinja` is the page, `style.css` how it looks; here its figures are put in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from pipeline.progress import plural
from pipeline.validate.checks import Check
from pipeline.validate.report import wording
from pipeline.validate.report.pictures import histogram
from pipeline.validate.rows.code_scan import RUN_BINS
from pipeline.validate.rows.text_scan import DURATION_BINS, RATE_EDGES, SECONDS_A_BIN

HERE = Path(__file__).parent
LISTED = 50  # suspect rows in the page; all are in the file


@dataclass(frozen=True)
class Sounding:
    """One sound of a clip: its caption, the words heard in it, MP3 and PNG as data addresses."""

    caption: str
    heard: str | None
    audio: str
    picture: str


@dataclass(frozen=True)
class ClipCard:
    """A row to listen to."""

    id: str
    text: str
    facts: Sequence[str]
    reasons: Sequence[str]
    sounds: Sequence[Sounding]


def page(
    title: str,
    metrics: Mapping[str, Any],
    checks: Sequence[Check],
    suspects: Sequence[Mapping[str, Any]],
    clips: Sequence[ClipCard],
    annotations: str,
) -> str:
    """Return the whole file; `suspects`: worst first; `clips`: those with players.

    `annotations`: a link to the page of what `annotate` measured, or why there is none.
    """
    counts = {name: sum(check.outcome == name for check in checks) for name in wording.OUTCOMES}
    return _template().render(
        title=title,
        metrics=metrics,
        verdict=wording.VERDICTS[metrics["verdict"]],
        outcomes=", ".join(f"{count} {name}" for name, count in counts.items() if count),
        checks=checks,
        advice=[check for check in checks if check.outcome in ("failed", "unsure")],
        notes=[*metrics["notes"], *metrics["integrity"]["sentences"]],
        clips=clips,
        annotations=annotations,
        suspects=suspects,
        listed=LISTED,
        listening=wording.LISTENING,
        published=wording.PUBLISHED,
        published_note=wording.PUBLISHED_NOTE,
        integrity=_integrity(metrics["integrity"]),
        languages=[
            (name, f"{one['rows']:,}", *(f"{one[key]:{form}}" for key, form in RATE_COLUMNS.items()))
            for name, one in metrics["statistics"]["languages"].items()
        ],
        histograms=_histograms(metrics["statistics"]),
        css=(HERE / "style.css").read_text(encoding="utf-8"),
    )


RATE_COLUMNS = {"median": ".1f", "codes_per_unit": ".2f", "correlation": ".2f"}


@cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(HERE)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.filters |= {
        "number": wording.number,
        "plural": plural,
        "percent_label": lambda place: f"{10 * place} %",
        "seconds_label": lambda name: f"from {name.removeprefix('from_')} s",
        "estimate_row": _estimate_row,
        "figure": _figure,
        "suspect_reason": lambda name, suspect: wording.reason(suspect, name),
    }
    return environment.get_template("page.html.jinja")


def _estimate_row(
    item: tuple[str, Mapping[str, Any]], published: Mapping[str, float] | None = None
) -> list[str | Markup]:
    name, found = item
    row = [wording.FIGURES.get(name, name.replace("_", " ")), _figure(found), str(found["number"])]
    if published is not None:
        row.append(wording.number(published[name]) if name in published else "")
    return row


def _figure(found: Mapping[str, Any] | Check) -> Markup:
    """Return a figure and, where it is an estimate, the interval that holds the truth in 95 of 100 cases."""
    value, low, high = (
        (found.value, found.low, found.high)
        if isinstance(found, Check)
        else (found["value"], found["low"], found["high"])
    )
    interval = "" if low is None else f" <small>{wording.number(low)} to {wording.number(high)}</small>"
    return Markup(wording.number(value) + interval)


def _integrity(integrity: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return how many rows break each rule, the broken ones first."""
    counts = {**integrity["rows"], **{f"duplicate_{k}": v for k, v in integrity["duplicates"].items()}}
    counts |= {name: integrity[name] for name in wording.TOTALS}
    worst_first = sorted(counts.items(), key=lambda item: -item[1])
    return [(wording.REASONS.get(name, name), f"{number:,}") for name, number in worst_first]


def _histograms(statistics: Mapping[str, Any]) -> list[Markup]:
    edges = (np.arange(DURATION_BINS + 1) * SECONDS_A_BIN).tolist()
    drawn = (
        histogram(statistics["durations"], edges, "Duration", "seconds"),
        histogram(statistics["rates"], RATE_EDGES.tolist(), "Speech rate", "characters or morae a second"),
        histogram(statistics["longest_runs"], list(range(RUN_BINS + 1)), "Longest run of one code", "codes"),
    )
    return [Markup(picture) for picture in drawn]
