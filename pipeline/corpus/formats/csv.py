"""CSV and TSV with a header: Common Voice's, Hugging Face audio folders', your own.

`fields.py` says what the columns mean. A TSV has no quoting, as Common Voice writes it: a quotation mark
there is part of the text.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.config import CorpusSettings
from pipeline.corpus import lines
from pipeline.corpus.entry import Entry, Malformed
from pipeline.corpus.fields import Fields
from pipeline.corpus.format import CorpusProbe, FileFormat
from pipeline.errors import UsageError

DELIMITERS = ("\t", ",", ";", "|")
MOST_LINES = 50  # of one entry: a quotation mark left open would swallow the rest of the file


def delimiter_of(header: str, settings: CorpusSettings) -> str | None:
    """Return the delimiter that gives `header` a text and an audio or id column; None if none does."""
    for delimiter in DELIMITERS:
        if Fields.choose(_names(header, delimiter), settings).suffice:
            return delimiter
    return None


def entries(path: Path, given: CorpusProbe) -> Iterator[Entry | Malformed]:
    """Yield the entries, located by their last line.

    Raises UsageError if the header names no text or no audio.
    """
    header = next(iter(given.head(path)), "")
    delimiter = delimiter_of(header, given.settings)
    if delimiter is None:
        raise UsageError(
            f"{path} begins with {header!r}, which names no text and audio columns that are known; "
            "set corpus.text_column and corpus.audio_column"
        )
    names = _names(header, delimiter)
    fields, near = Fields.choose(names, given.settings), given.index.near(path.parent)
    for where, row in islice(_rows(path, delimiter, given.settings), 1, None):
        if isinstance(row, Malformed):
            yield row
        elif len(row) != len(names):
            yield Malformed(where, f"has {len(row)} columns, and the header has {len(names)}")
        else:
            yield fields.entry(dict(zip(names, row, strict=True)), where, near)


def _rows(
    path: Path, delimiter: str, settings: CorpusSettings
) -> Iterator[tuple[str, list[str] | Malformed]]:
    """Yield rows with their positions, the header first. A line that is not UTF-8 is a row of its own."""
    place = ""
    bad: list[Malformed] = []

    def good_lines() -> Iterator[str]:
        nonlocal place
        for where, line in lines.read_lines(path, settings):
            place = where
            if isinstance(line, Malformed):
                bad.append(line)
            else:
                yield line + "\n"

    reader = csv.reader(good_lines(), **_dialect(delimiter))
    while True:
        before = reader.line_num
        row: list[str] | Malformed | None
        try:
            row = next(reader, None)
        except csv.Error as error:
            row = Malformed(place, f"is not CSV: {error}")
        yield from ((each.where, each) for each in bad)
        bad.clear()
        if row is None:
            return
        spanned = reader.line_num - before
        if spanned > MOST_LINES:
            row = Malformed(place, f"ends an entry of {spanned} lines; a quotation mark is not closed")
        yield place, row


def _dialect(delimiter: str) -> dict[str, Any]:
    csv.field_size_limit(lines.MAX_LINE * MOST_LINES)
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    return {"delimiter": delimiter, "quoting": quoting, "skipinitialspace": True}


def _names(header: str, delimiter: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([header], **_dialect(delimiter)), [])]
    except csv.Error:
        return []


def _matches(path: Path, given: CorpusProbe) -> bool:
    return any(delimiter_of(line, given.settings) for line in given.head(path)[:1])


FORMAT = FileFormat("csv", "CSV or TSV with a header such as path, sentence", _matches, entries)
