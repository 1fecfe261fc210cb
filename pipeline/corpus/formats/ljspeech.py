"""LJSpeech's `metadata.csv`: `id|text as printed|text with numbers and abbreviations written out`.

Not CSV in spite of its name: quotes mean nothing. Source of the form: keithito.com/LJ-Speech-Dataset.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.corpus import lines
from pipeline.corpus.entry import Entry, Malformed
from pipeline.corpus.format import CorpusProbe, FileFormat
from pipeline.corpus.formats.vits import roles_of


def entries(path: Path, given: CorpusProbe) -> Iterator[Entry | Malformed]:
    """Yield the entries; the text is the written-out one if there is one."""
    near = given.index.near(path.parent)
    for where, line in lines.read_lines(path, given.settings):
        if isinstance(line, Malformed):
            yield line
            continue
        columns = [column.strip() for column in line.split("|")]
        if len(columns) not in {2, 3} or not columns[0]:
            yield Malformed(where, f"has {len(columns)} columns parted by |, not id|text|normalised text")
            continue
        yield Entry(where, columns[0], columns[-1] or columns[1], near=near)


def _matches(path: Path, given: CorpusProbe) -> bool:
    roles = roles_of(path, given)
    return roles is not None and roles.form == "ljspeech"


FORMAT = FileFormat("ljspeech", "lines of id|text|normalised text", _matches, entries)
