"""Transcript files in sub-folders, each beside or above its audio: JSUT, JVS, LibriSpeech.

Their lines are read as `columns.py` does. Names of audio repeat between sub-folders, so an id is the
transcript's folder and the name: `jvs001/parallel100/VOICEACTRESS100_001`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pipeline.config import CorpusSettings
from pipeline.corpus.audio_index import AudioIndex, nfc, scan
from pipeline.corpus.entry import Corpus, Entry, Malformed, Scope
from pipeline.corpus.format import CorpusProbe, Format
from pipeline.corpus.formats import columns
from pipeline.corpus.pairing import FolderCorpus
from pipeline.corpus.speakers import speaker_of
from pipeline.errors import UsageError

ENDINGS = ("transcript_utf8.txt", "transcripts_utf8.txt", ".trans.txt")  # JSUT, JVS, LibriSpeech


def entries(root: Path, settings: CorpusSettings, index: AudioIndex) -> Iterator[Entry | Malformed]:
    """Yield the entries of all files, a file at a time, in the order of their paths."""
    for path in scan(root, ENDINGS):
        folder = nfc(path).rpartition("/")[0]
        for entry in columns.entries(root / path, settings, index, prefix=folder + "/" if folder else ""):
            if isinstance(entry, Entry):
                speaker = speaker_of(entry.id or entry.audio)
                entry = replace(entry, speaker=speaker, near=folder, scope=Scope.BELOW)
            yield entry


def _fits(given: CorpusProbe) -> bool:
    folder = given.text_folder
    if given.folder is None or folder is None or not given.index.locators:
        return False
    return bool(scan(folder, ENDINGS))


def _open(given: CorpusProbe) -> Corpus:
    root, settings = given.text_folder, given.settings
    if root is None or not scan(root, ENDINGS):
        raise UsageError(f"there is no {' or '.join(ENDINGS)} below {root or given.text}")
    return FolderCorpus("tree", given.index, lambda: entries(root, settings, given.index), settings.language)


FORMAT = Format("tree", f"{', '.join(ENDINGS)} in sub-folders", _fits, _open)
