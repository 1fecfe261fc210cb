"""JSONL, one object a line: NeMo's manifests, Emilia's, your own; `fields.py` says what the keys mean."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from pipeline.corpus import lines
from pipeline.corpus.entry import Entry, Malformed
from pipeline.corpus.fields import fields_of_rows
from pipeline.corpus.format import CorpusProbe, FileFormat


def entries(path: Path, given: CorpusProbe) -> Iterator[Entry | Malformed]:
    """Yield the entries. Objects may differ in their keys.

    A path counts from the file's folder or the root.
    """
    near = given.index.near(path.parent)
    fields_of = fields_of_rows(given.settings)
    for where, line in lines.read_lines(path, given.settings):
        row = line if isinstance(line, Malformed) else parse(line, where)
        yield row if isinstance(row, Malformed) else fields_of(row).entry(row, where, near)


def parse(text: str, where: str) -> dict[str, object] | Malformed:
    """Return the object that `text` is."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Malformed(where, f"is not JSON: {error}")
    return (
        row if isinstance(row, dict) else Malformed(where, f"is a JSON {type(row).__name__}, not an object")
    )


def _matches(path: Path, given: CorpusProbe) -> bool:
    head = given.head(path)
    return sum(isinstance(parse(line, ""), dict) for line in head) * 2 > len(head)


FORMAT = FileFormat("jsonl", "JSON lines with keys such as audio_filepath, text", _matches, entries)
