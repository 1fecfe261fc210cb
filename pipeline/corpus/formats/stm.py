"""STM, as TED-LIUM has it: lines of recording, channel, speaker, begin, end, perhaps a label, and text.

Source of the form: NIST's SCTK, doc/infmts.htm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.corpus import lines
from pipeline.corpus.corpus import Corpus
from pipeline.corpus.entry import Entry, Malformed
from pipeline.corpus.fields import LONGEST
from pipeline.corpus.format import CorpusProbe, FolderFormat
from pipeline.corpus.listing import scan
from pipeline.errors import UsageError

ENDINGS = (".stm",)
LINE = re.compile(r"(\S+)\s+(\S+)\s+(\S+)\s+(\d+(?:\.\d+)?)\s+(\d+(?:\.\d+)?)\s+(?:<[^>]*>\s*)?(.*)")
IGNORED = "ignore_time_segment_in_scoring"
FIRST = {"1", "A", "a", "0"}  # names of the only channel


def entries(paths: list[Path], given: CorpusProbe) -> Iterator[Entry | Malformed]:
    """Yield the entries of all files."""
    for path in paths:
        for where, line in lines.read_lines(path, given.settings):
            if isinstance(line, Malformed):
                yield line
            elif not line.startswith(";;"):  # a comment
                yield _entry(line, where)


def _entry(line: str, where: str) -> Entry | Malformed:
    match = LINE.fullmatch(line)
    if match is None:
        return Malformed(where, "is not a recording, channel, speaker, begin, end and text")
    recording, channel, speaker, begin, end, text = match.groups()
    if channel not in FIRST:
        return Malformed(where, f"is of channel {channel}, and channels are mixed; write it to a file first")
    if not float(begin) < float(end) <= LONGEST:
        return Malformed(where, f"runs from {begin} to {end} s")
    if IGNORED in text.lower():
        return Malformed(where, "is marked as a part to be ignored")
    return Entry(where, recording, text, speaker=speaker, start=float(begin), end=float(end))


def _paths(given: CorpusProbe) -> list[Path]:
    if given.text_file is not None:
        return [given.text_file] if given.text_file.suffix.lower() in ENDINGS else []
    root = given.text_folder
    return [] if root is None else [root / name for name in scan(root, ENDINGS)]


def _fits(given: CorpusProbe) -> bool:
    return given.folder is not None and bool(_paths(given))


def _open(given: CorpusProbe) -> Corpus:
    paths = _paths(given)
    if not paths:
        raise UsageError(f"there is no .stm in {given.text or given.settings.audio}")
    return given.corpus("stm", lambda: entries(paths, given))


FORMAT = FolderFormat("stm", "files of lines with times, .stm", _fits, _open)
