"""The tables of the report, as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from pipeline.validate.checks import Check
from pipeline.validate.report import wording

LISTED = 50  # suspect rows in the page; all are in the file


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """Return a table; cells are HTML, and the last `numbers` columns are figures."""

    def line(cells: Sequence[str], tag: str) -> str:
        first = len(cells) - numbers
        made = (
            f"<{tag}{' class=number' if place >= first else ''}>{cell}</{tag}>"
            for place, cell in enumerate(cells)
        )
        return f"<tr>{''.join(made)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f'<div class="wide"><table>{line(head, "th")}{body}</table></div>' if body else ""


def tags(reasons: Iterable[str]) -> str:
    """Return short marks in a row."""
    return "".join(f'<span class="tag">{escape(reason)}</span>' for reason in reasons)


def checks(checks: Sequence[Check]) -> str:
    """Return every check with its figure, interval and limit."""
    return table(
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


def estimates(metrics: Mapping[str, Any], part: str) -> str:
    """Return a part's estimates with their intervals."""
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
    return table(head, rows, numbers=len(head) - 1) + note


def exact(exact: Mapping[str, Any]) -> str:
    """Return agreement with encoding alone, by position in the clip and by its length."""
    if not exact or exact["agreement"] is None:
        return ""
    said = (
        f"<p>{exact['rows']} clips encoded again, alone, in fp32 ({escape(exact['precision'])} then): "
        f"{exact['rows_equal']} have the same codes, {exact['agreement']['value']:.4%} of "
        f"{exact['codes']:,} codes are equal.</p>"
    )
    tenths = [wording.number(share) for share in exact["by_position"]]
    places = table([f"{10 * place} %" for place in range(len(tenths))], [tenths], numbers=len(tenths))
    seconds = {name.removeprefix("from_"): share for name, share in exact["by_seconds"].items()}
    lengths = table(
        [f"from {name} s" for name in seconds],
        [[wording.number(share) for share in seconds.values()]],
        numbers=len(seconds),
    )
    return f"{said}<p>By place in the clip:</p>{places}<p>By length of the clip:</p>{lengths}"


def integrity(integrity: Mapping[str, Any]) -> str:
    """Return rows that break a rule, by rule."""
    counts = {**integrity["rows"], **{f"duplicate_{k}": v for k, v in integrity["duplicates"].items()}}
    counts |= {name: integrity[name] for name in wording.TOTALS}
    rows = [(escape(wording.REASONS.get(name, name)), f"{number:,}") for name, number in counts.items()]
    return table(("Rule", "Rows"), rows, numbers=1)


def languages(statistics: Mapping[str, Any]) -> str:
    """Return speech rates by language."""
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
    return table(head, rows, numbers=4)


def suspects(suspects: Sequence[Mapping[str, Any]]) -> str:
    """Return the worst suspect rows, with their reasons."""
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
    return how + more + table(("Id", "Text", "Why"), rows)
