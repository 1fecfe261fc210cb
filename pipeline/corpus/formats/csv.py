"""CSV and TSV with a header: Common Voice's, Hugging Face audio folders', your own.

`fields.py` says what the columns mean. A TSV has no quoting, as Common Voice writes it: a quotation mark
there is part of the text.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.config import CorpusSettings
from pipeline.corpus import lines
from pipeline.corpus.entry import Entry, Malformed
from pipeline.corpus.fields import Fields
from pipeline.corpus.format import CorpusProbe, FileFormat, says_columns
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
    known = Known(delimiter, Fields.choose(_names(header, delimiter), given.settings)) if delimiter else None
    known = known or by_values(path, given)
    if known is None:
        raise UsageError(
            f"{path} begins with {header[:200]!r}, which names no text and audio columns that are known; "
            "set corpus.text_column and corpus.audio_column"
        )
    delimiter, fields, names = known.delimiter, known.fields, _names(header, known.delimiter)
    near = given.index.near(path.parent)
    for where, row in islice(_rows(path, delimiter, given.settings), known.has_header, None):
        if isinstance(row, Malformed):
            yield row
        elif len(row) != len(names):
            yield Malformed(where, f"has {len(row)} columns, and the header has {len(names)}")
        else:
            yield fields.entry(dict(zip(names, row, strict=True)), where, near)


@dataclass(frozen=True)
class Known:
    """How a table is read."""

    delimiter: str
    fields: Fields
    has_header: bool = True


def by_values(path: Path, given: CorpusProbe) -> Known | None:
    """Tell the audio and the text of a table by their values, where the header does not.

    The audio is the only column whose values name files, the text the only one of sentences; of a table
    without a header the first row does so too. None if there is not just one of each.
    """
    near = given.index.near(path.parent)
    for delimiter in DELIMITERS[:3]:
        rows = [row for line in given.head(path) if (row := _names(line, delimiter))]
        if len(rows) < 2 or len(rows[0]) < 2 or len(set(rows[0])) < len(rows[0]):
            continue
        columns = list(zip(*(row for row in rows[1:] if len(row) == len(rows[0])), strict=True))
        named = [sum(bool(given.index.find(value, near)) for value in column) for column in columns]
        audio = [n for n, count in enumerate(named) if count * 2 > len(columns[n])]
        texts = [n for n, column in enumerate(columns) if n not in audio and _are_sentences(column)]
        if len(audio) == len(texts) == 1:
            header = rows[0]
            fields = Fields.of(header[texts[0]], header[audio[0]])
            return Known(delimiter, fields, not given.index.find(header[audio[0]], near))
    return None


def _are_sentences(column: Sequence[str]) -> bool:
    """Return whether most values are several words, or several characters of a script without spaces."""
    said = sum(" " in value or (len(value) > 3 and not value[1:].isascii()) for value in column)
    return said * 2 > len(column) and len(set(column)) * 2 > len(column)


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
    header = next(iter(given.head(path)), "")
    if delimiter_of(header, given.settings) is not None:
        return True
    return not says_columns(given.settings) and bool(given.index) and by_values(path, given) is not None


FORMAT = FileFormat("csv", "CSV or TSV with a header such as path, sentence", _matches, entries)
