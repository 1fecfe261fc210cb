"""The report as one HTML file: verdict, what to do, figures, pictures, players.

The page loads nothing from elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from pipeline.validate.checks import Check
from pipeline.validate.report import tables, wording
from pipeline.validate.report.pictures import histogram
from pipeline.validate.report.style import CSS
from pipeline.validate.rows.code_scan import RUN_BINS
from pipeline.validate.rows.text_scan import DURATION_BINS, RATE_EDGES, SECONDS_A_BIN

UNSURE = " <i>The sample is too small to be sure: take more with --sample.</i>"


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
) -> str:
    """Return the whole file; `suspects`: worst first; `clips`: those with players."""
    parts = [
        _verdict(title, metrics, checks),
        _advice(checks, metrics),
        _section("Checks", tables.checks(checks)),
        _section("Listen", "".join(map(_clip, clips))),
        _section("Decoded against source", tables.estimates(metrics, "round_trip")),
        _section("Spoken by the model", tables.estimates(metrics, "speaking")),
        _section("Recordings", tables.estimates(metrics, "audio")),
        _section("Codes of the clip alone", tables.exact(metrics["exact"])),
        _section(
            "Every row", tables.integrity(metrics["integrity"]) + tables.languages(metrics["statistics"])
        ),
        _section("Distributions", _pictures(metrics["statistics"])),
        _section("Suspect rows", tables.suspects(suspects)),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escape(title)}: {metrics["verdict"]}</title>'
        f"<style>{CSS}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _verdict(title: str, metrics: Mapping[str, Any], checks: Sequence[Check]) -> str:
    count = {name: sum(check.outcome == name for check in checks) for name in wording.OUTCOMES}
    said = ", ".join(f"{number} {name}" for name, number in count.items() if number)
    about = metrics["dataset"]
    return (
        f'<header class="verdict {metrics["verdict"]}"><small>{escape(title)}</small>'
        f"<h1>{escape(wording.VERDICTS[metrics['verdict']])}</h1>"
        f"<p>{about['rows']:,} rows, {about['hours']:,.2f} hours, {about['codes']:,} codes, "
        f"{about['rejected']:,} rejected. Checks: {said}.</p></header>"
    )


def _advice(checks: Sequence[Check], metrics: Mapping[str, Any]) -> str:
    points = [
        f'<li><b class="{check.outcome}">{escape(check.title)}</b>: {escape(check.advice)}'
        f"{UNSURE if check.outcome == 'unsure' else ''}</li>"
        for check in checks
        if check.outcome in ("failed", "unsure")
    ]
    missing = [
        f"<li>Not measured: {escape(one['purpose'])}. <code>{escape(one['install'])}</code></li>"
        for one in metrics["missing"]
    ]
    notes = [f"<li>{escape(note)}</li>" for note in (*metrics["notes"], *metrics["integrity"]["sentences"])]
    points += notes + missing
    return _section("What to do", f"<ul>{''.join(points)}</ul>" if points else "")


def _pictures(statistics: Mapping[str, Any]) -> str:
    edges = np.arange(DURATION_BINS + 1) * SECONDS_A_BIN
    return (
        histogram(statistics["durations"], edges.tolist(), "Duration", "seconds")
        + histogram(statistics["rates"], RATE_EDGES.tolist(), "Speech rate", "characters or morae a second")
        + histogram(statistics["longest_runs"], list(range(RUN_BINS + 1)), "Longest run of one code", "codes")
        + _codebook(statistics["codebook"])
    )


def _codebook(codebook: Mapping[str, Any]) -> str:
    if not codebook:
        return ""
    use = (
        f"<p>Codebook: {codebook['used']:,} entries used, {codebook['share_of_reachable']:.0%} of what so "
        f"many codes could reach; {codebook['entropy']:.2f} bits a code.</p>"
    )
    digits = "".join(
        f'<div><div class="digit">{_levels(levels)}</div><small>digit {place + 1}</small></div>'
        for place, levels in enumerate(codebook["digits"])
    )
    return use + (f'<p>Levels of each FSQ digit:</p><div class="digits">{digits}</div>' if digits else "")


def _levels(levels: Sequence[float]) -> str:
    top = max(levels) or 1.0
    return "".join(f"<i style=height:{100 * share / top:.0f}%></i>" for share in levels)


def _clip(clip: ClipCard) -> str:
    return (
        f'<article class="clip"><b>{escape(clip.text)}</b><br>'
        f"<small>{escape(' · '.join([clip.id, *clip.facts]))}</small><div>{tables.tags(clip.reasons)}</div>"
        f'<div class="sounds">{"".join(map(_sound, clip.sounds))}</div></article>'
    )


def _sound(one: Sounding) -> str:
    heard = "" if one.heard is None else f"<small>heard: {escape(one.heard) or '–'}</small>"
    return (
        f'<div><small>{escape(one.caption)}</small><img alt="spectrogram" src="{one.picture}">'
        f'<audio controls preload="metadata" src="{one.audio}"></audio>{heard}</div>'
    )
