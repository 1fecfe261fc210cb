"""AISHELL-3's `content.txt`: the audio's name, then each character followed by its pinyin.

`SSB00050001.wav<tab>广 guang3 州 zhou1`: the text is the characters. Source: openslr.org/93.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.corpus import lines
from pipeline.corpus.entry import Entry, Malformed
from pipeline.corpus.format import CorpusProbe, FileFormat
from pipeline.corpus.speakers import speaker_of

PINYIN = re.compile(r"[a-zêü:]+[1-6]")


def entries(path: Path, given: CorpusProbe) -> Iterator[Entry | Malformed]:
    """Yield the entries."""
    near = given.index.near(path.parent)
    for where, line in lines.read_lines(path, given.settings):
        if isinstance(line, Malformed):
            yield line
        elif text := text_of(line):
            name = line.split()[0]
            speaker = speaker_of(given.index.without_ending(name))
            yield Entry(where, name, text, speaker=speaker, language="zh", near=near)
        else:
            yield Malformed(where, "is not a name and characters that are each followed by their pinyin")


def text_of(line: str) -> str | None:
    """Return the characters of a line; None if they are not each followed by their pinyin."""
    _, *words = line.split()
    if not words or len(words) % 2 or not all(PINYIN.fullmatch(word) for word in words[1::2]):
        return None
    return "".join(words[::2])


def _matches(path: Path, given: CorpusProbe) -> bool:
    head = given.head(path)
    return bool(given.index) and sum(text_of(line) is not None for line in head) * 10 > len(head) * 9


FORMAT = FileFormat("aishell3", "lines of a name and characters with their pinyin", _matches, entries)
