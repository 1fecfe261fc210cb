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
from pipeline.corpus.audio_index import AudioIndex
from pipeline.corpus.entry import Corpus, Entry, Malformed
from pipeline.corpus.fields import Fields
from pipeline.corpus.format import CorpusProbe, Format
from pipeline.corpus.pairing import FolderCorpus
from pipeline.errors import UsageError

DELIMITERS = ("\t", ",", ";", "|")
MOST_LINES = 50  # of one entry: a quotation mark left open would swallow the rest of the file


def delimiter_of(header: str, settings: CorpusSettings) -> str | None:
    """Return the delimiter that gives `header` a text and an audio or id column; None if none does."""
    for delimiter in DELIMITERS:
        if Fields.choose(_names(header, delimiter), settings).suffice:
            return delimiter
    return None


def header_of(path: Path, settings: CorpusSettings) -> tuple[str, list[str]]:
    """Return the delimiter and the column names. Raises UsageError if they name no text or no audio."""
    header = next(iter(lines.head(path)), "")
    delimiter = delimiter_of(header, settings)
    if delimiter is None:
        raise UsageError(
            f"{path} begins with {header!r}, which names no text and audio columns that are known; "
            "set corpus.text_column and corpus.audio_column"
        )
    return delimiter, _names(header, delimiter)


def entries(path: Path, settings: CorpusSettings, index: AudioIndex) -> Iterator[Entry | Malformed]:
    """Yield the entries, located by their last line. Raises UsageError as `header_of` does."""
    near = index.near(path.parent)
    delimiter, names = header_of(path, settings)
    fields = Fields.choose(names, settings)
    for where, row in islice(_rows(path, delimiter), 1, None):
        if isinstance(row, Malformed):
            yield row
        elif len(row) != len(names):
            yield Malformed(where, f"has {len(row)} columns, and the header has {len(names)}")
        else:
            yield fields.entry(dict(zip(names, row, strict=True)), where, near)


def _rows(path: Path, delimiter: str) -> Iterator[tuple[str, list[str] | Malformed]]:
    """Yield rows with their positions, the header first. A line that is not UTF-8 is a row of its own."""
    place = ""
    bad: list[Malformed] = []

    def good_lines() -> Iterator[str]:
        nonlocal place
        for where, line in lines.read_lines(path):
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
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    return {"delimiter": delimiter, "quoting": quoting, "skipinitialspace": True}


def _names(header: str, delimiter: str) -> list[str]:
    return [name.strip() for name in next(csv.reader([header], **_dialect(delimiter)), [])]


def _fits(given: CorpusProbe) -> bool:
    return (
        given.folder is not None
        and bool(given.head)
        and delimiter_of(given.head[0], given.settings) is not None
    )


def _open(given: CorpusProbe) -> Corpus:
    path = given.transcript_file("csv")
    header_of(path, given.settings)
    return FolderCorpus(
        "csv", given.index, lambda: entries(path, given.settings, given.index), given.settings.language
    )


FORMAT = Format("csv", "CSV or TSV with a header such as path, sentence", _fits, _open)
