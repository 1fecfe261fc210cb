"""JSONL, one object a line: NeMo's manifests, Emilia's, your own; `fields.py` says what the keys mean."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from pipeline.config import CorpusSettings
from pipeline.corpus import lines
from pipeline.corpus.audio_index import AudioIndex
from pipeline.corpus.entry import Corpus, Entry, Malformed
from pipeline.corpus.fields import Fields
from pipeline.corpus.format import CorpusProbe, Format
from pipeline.corpus.pairing import FolderCorpus


def entries(path: Path, settings: CorpusSettings, index: AudioIndex) -> Iterator[Entry | Malformed]:
    """Yield the entries. Objects may differ in their keys.

    A path counts from the file's folder or the root.
    """
    near = index.near(path.parent)
    chosen: dict[tuple[str, ...], Fields] = {}
    for where, line in lines.read_lines(path):
        row = line if isinstance(line, Malformed) else parse(line, where)
        if isinstance(row, Malformed):
            yield row
            continue
        keys = tuple(row)
        if keys not in chosen:
            chosen[keys] = Fields.choose(keys, settings)
        yield chosen[keys].entry(row, where, near)


def parse(text: str, where: str) -> dict[str, object] | Malformed:
    """Return the object that `text` is."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Malformed(where, f"is not JSON: {error}")
    return (
        row if isinstance(row, dict) else Malformed(where, f"is a JSON {type(row).__name__}, not an object")
    )


def _fits(given: CorpusProbe) -> bool:
    objects = sum(isinstance(parse(line, ""), dict) for line in given.head)
    return given.folder is not None and objects * 2 > len(given.head)


def _open(given: CorpusProbe) -> Corpus:
    path = given.transcript_file("jsonl")
    return FolderCorpus(
        "jsonl", given.index, lambda: entries(path, given.settings, given.index), given.settings.language
    )


FORMAT = Format("jsonl", "JSON lines with keys such as audio_filepath, text", _fits, _open)
