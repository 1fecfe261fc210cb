"""The report as one HTML file: verdict, what to do, figures, pictures, players. Loads nothing from elsewhere.

Knows the names of `metrics.json`; the sounds and pictures of clips are passed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from pipeline.validate import wording
from pipeline.validate.checks import Check
from pipeline.validate.code_scan import RUN_BINS
from pipeline.validate.pictures import histogram
from pipeline.validate.style import CSS
from pipeline.validate.text_scan import DURATION_BINS, RATE_EDGES, SECONDS_A_BIN

LISTED = 50  # suspect rows in the page; all are in the file
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
    """The whole file. `suspects`: worst first; `clips`: those with players."""
    parts = [
        _verdict(title, metrics, checks),
        _advice(checks, metrics),
        _section("Checks", _checks(checks)),
        _section("Listen", "".join(map(_clip, clips))),
        _section("Decoded against source", _estimates(metrics, "round_trip")),
        _section("Spoken by the model", _estimates(metrics, "speaking")),
        _section("Recordings", _estimates(metrics, "audio")),
        _section("Codes of the clip alone", _exact(metrics["exact"])),
        _section("Every row", _integrity(metrics["integrity"]) + _languages(metrics["statistics"])),
        _section("Distributions", _pictures(metrics["statistics"])),
        _section("Suspect rows", _suspects(suspects)),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escape(title)}: {metrics["verdict"]}</title>'
        f"<style>{CSS}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """Cells are HTML; the last `numbers` columns are figures."""

    def line(cells: Sequence[str], tag: str) -> str:
        first = len(cells) - numbers
        made = (
            f"<{tag}{' class=number' if place >= first else ''}>{cell}</{tag}>"
            for place, cell in enumerate(cells)
        )
        return f"<tr>{''.join(made)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f'<div class="wide"><table>{line(head, "th")}{body}</table></div>' if body else ""


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


def _checks(checks: Sequence[Check]) -> str:
    return _table(
        ("Check", "Outcome", "Figure", "95 %", "Limit"),
        (
            (
                escape(check.title),
                f'<span class="{check.outcome}">{check.outcome}</span>',
                wording.number(check.value),
                "" if check.low is None else f"{wording.number(check.low)} to {wording.number(check.high)}",
                f"{'≤' if check.at_most else '≥'} {check.limit:g}",
            )
            for check in checks
        ),
        numbers=3,
    )


def _estimates(metrics: Mapping[str, Any], part: str) -> str:
    compared = wording.PUBLISHED if part == "round_trip" else {}
    rows = [
        (
            escape(wording.FIGURES.get(name, name.replace("_", " "))),
            wording.number(found["value"]),
            f"{wording.number(found['low'])} to {wording.number(found['high'])}",
            str(found["number"]),
            *((wording.number(compared[name]) if name in compared else "",) if compared else ()),
        )
        for name, found in metrics[part].items()
        if isinstance(found, Mapping)
    ]
    head = ("Figure", "Mean", "95 %", "Rows", *(("XCodec2*",) if compared else ()))
    note = f"<p class=quiet>{escape(wording.PUBLISHED_NOTE)}</p>" if compared and rows else ""
    return _table(head, rows, numbers=len(head) - 1) + note


def _exact(exact: Mapping[str, Any]) -> str:
    if not exact or exact["agreement"] is None:
        return ""
    said = (
        f"<p>{exact['rows']} clips encoded again, alone, in fp32 ({escape(exact['precision'])} then): "
        f"{exact['rows_equal']} have the same codes, {exact['agreement']['value']:.4%} of "
        f"{exact['codes']:,} codes are equal.</p>"
    )
    tenths = [wording.number(share) for share in exact["by_position"]]
    places = _table([f"{10 * place} %" for place in range(len(tenths))], [tenths], numbers=len(tenths))
    seconds = {name.removeprefix("from_"): share for name, share in exact["by_seconds"].items()}
    lengths = _table(
        [f"from {name} s" for name in seconds],
        [[wording.number(share) for share in seconds.values()]],
        numbers=len(seconds),
    )
    return f"{said}<p>By place in the clip:</p>{places}<p>By length of the clip:</p>{lengths}"


def _integrity(integrity: Mapping[str, Any]) -> str:
    counts = {**integrity["rows"], **{f"duplicate_{k}": v for k, v in integrity["duplicates"].items()}}
    counts |= {name: integrity[name] for name in wording.TOTALS}
    rows = [(escape(wording.REASONS.get(name, name)), f"{number:,}") for name, number in counts.items()]
    return _table(("Rule", "Rows"), rows, numbers=1)


def _languages(statistics: Mapping[str, Any]) -> str:
    rows = [
        (
            escape(name),
            f"{one['rows']:,}",
            f"{one['median']:.1f}",
            f"{one['codes_per_unit']:.2f}",
            f"{one['correlation']:.2f}",
        )
        for name, one in statistics["languages"].items()
    ]
    head = ("Language", "Rows", "Characters or morae a second", "Codes a character", "Length correlation")
    return _table(head, rows, numbers=4)


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
        f"<small>{escape(' · '.join([clip.id, *clip.facts]))}</small><div>{_tags(clip.reasons)}</div>"
        f'<div class="sounds">{"".join(map(_sound, clip.sounds))}</div></article>'
    )


def _sound(one: Sounding) -> str:
    heard = "" if one.heard is None else f"<small>heard: {escape(one.heard) or '–'}</small>"
    return (
        f'<div><small>{escape(one.caption)}</small><img alt="spectrogram" src="{one.picture}">'
        f'<audio controls preload="metadata" src="{one.audio}"></audio>{heard}</div>'
    )


def _tags(reasons: Iterable[str]) -> str:
    return "".join(f'<span class="tag">{escape(reason)}</span>' for reason in reasons)


def _suspects(suspects: Sequence[Mapping[str, Any]]) -> str:
    if not suspects:
        return "<p>None.</p>"
    rows = [
        (
            escape(str(one["id"])),
            escape(str(one["text"])),
            "".join(
                f'<span class="tag">{escape(wording.reason(one, name))}</span>' for name in one["reasons"]
            ),
        )
        for one in suspects[:LISTED]
    ]
    more = f"<p>The worst {LISTED} of {len(suspects):,}.</p>" if len(suspects) > LISTED else ""
    how = (
        "<p class=quiet>All in <code>suspects.jsonl</code>, "
        "which <code>create_dataset.py --exclude</code> takes.</p>"
    )
    return how + more + _table(("Id", "Text", "Why"), rows)
