"""LJSpeech's `metadata.csv`: `id|text as printed|text with numbers and abbreviations written out`.

Not CSV in spite of its name: quotes mean nothing. Source of the form: keithito.com/LJ-Speech-Dataset.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.corpus import lines
from pipeline.corpus.audio_index import AudioIndex
from pipeline.corpus.entry import Corpus, Entry, Malformed
from pipeline.corpus.format import CorpusProbe, Format
from pipeline.corpus.pairing import FolderCorpus


def entries(path: Path, index: AudioIndex) -> Iterator[Entry | Malformed]:
    """Yield the entries; the text is the written-out one if there is one."""
    near = index.near(path.parent)
    for where, line in lines.read_lines(path):
        if isinstance(line, Malformed):
            yield line
            continue
        columns = [column.strip() for column in line.split("|")]
        if len(columns) not in {2, 3} or not columns[0]:
            yield Malformed(where, f"has {len(columns)} columns parted by |, not id|text|normalised text")
            continue
        yield Entry(where, columns[0], columns[-1] or columns[1], near=near)


def _fits(given: CorpusProbe) -> bool:
    threes = sum(line.count("|") == 2 for line in given.head)
    return given.folder is not None and threes * 2 > len(given.head) and bool(given.index.locators)


def _open(given: CorpusProbe) -> Corpus:
    path = given.transcript_file("ljspeech")
    return FolderCorpus("ljspeech", given.index, lambda: entries(path, given.index), given.settings.language)


FORMAT = Format("ljspeech", "lines of id|text|normalised text", _fits, _open)
