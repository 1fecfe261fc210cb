"""Transcript files in sub-folders, each beside or above its audio: JSUT, JVS, LibriSpeech.

Their lines are read as `columns.py` does. Names of audio repeat between sub-folders, so an id is the
transcript's folder and the name: `jvs001/parallel100/VOICEACTRESS100_001`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pipeline.corpus.audio_index import nfc, scan
from pipeline.corpus.corpus import Corpus
from pipeline.corpus.entry import Entry, Malformed, Scope
from pipeline.corpus.format import CorpusProbe, FolderFormat
from pipeline.corpus.formats import columns
from pipeline.corpus.speakers import speaker_of
from pipeline.errors import UsageError

ENDINGS = ("transcript_utf8.txt", "transcripts_utf8.txt", ".trans.txt")  # JSUT, JVS, LibriSpeech


def entries(root: Path, given: CorpusProbe) -> Iterator[Entry | Malformed]:
    """Yield the entries of all files, a file at a time, in the order of their paths."""
    for path in scan(root, ENDINGS):
        folder, slash, _ = nfc(path).rpartition("/")
        prefix = folder + slash
        for entry in columns.entries(root / path, given):
            where = prefix + entry.where
            if isinstance(entry, Malformed):
                yield replace(entry, where=where)
                continue
            speaker = speaker_of(prefix + given.index.without_ending(entry.audio))
            yield replace(entry, where=where, prefix=prefix, speaker=speaker, near=folder, scope=Scope.BELOW)


def _fits(given: CorpusProbe) -> bool:
    folder = given.text_folder
    if given.folder is None or folder is None or not given.index.locators:
        return False
    return bool(scan(folder, ENDINGS))


def _open(given: CorpusProbe) -> Corpus:
    root = given.text_folder
    if root is None or not scan(root, ENDINGS):
        raise UsageError(f"there is no {' or '.join(ENDINGS)} below {root or given.text}")
    return given.corpus("tree", lambda: entries(root, given))


FORMAT = FolderFormat("tree", f"{', '.join(ENDINGS)} in sub-folders", _fits, _open)
