"""Transcript files in sub-folders: JSUT, JVS, LibriSpeech, AISHELL, M-AILABS, several of Common Voice.

Each file is read in the form that it has. Names of audio repeat between sub-folders, so an id is the
transcript's folder and the name: `jvs001/parallel100/VOICEACTRESS100_001`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pipeline.corpus.audio_index import AudioIndex, is_absolute
from pipeline.corpus.corpus import Corpus
from pipeline.corpus.entry import Entry, Item, Malformed, Scope
from pipeline.corpus.format import CorpusProbe, FileFormat, FolderFormat
from pipeline.corpus.formats import aishell3, columns, csv, jsonl, ljspeech, vits
from pipeline.corpus.listing import nfc, walk
from pipeline.corpus.speakers import language_of, speaker_of
from pipeline.errors import UsageError

COLUMNS = ("transcript_utf8.txt", "transcripts_utf8.txt", ".trans.txt")  # JSUT, JVS, LibriSpeech
NAMES = re.compile(
    r"(?:.*/)?(?:metadata\.(?:csv|tsv|jsonl)|validated\.tsv|content\.txt|aishell_transcript[^/]*\.txt"
    r"|[^/]*manifest[^/]*\.jsonl?)"
)
FORMS: tuple[FileFormat, ...] = tuple(
    form.FORMAT
    for form in (jsonl, csv, aishell3, ljspeech, vits, columns)  # in the order they are tried
)


def files(root: Path) -> list[str]:
    """List the transcript files below `root`."""
    found = walk(root, (*COLUMNS, ".txt", ".csv", ".tsv", ".jsonl", ".json"))
    of_folders = (name for name in found if name.endswith(COLUMNS) or NAMES.fullmatch(name))
    return sorted(of_folders, key=lambda name: (nfc(name), name))


def entries(root: Path, given: CorpusProbe) -> Iterator[Item]:
    """Yield the entries of all files, a file at a time, in the order of their paths."""
    for path in files(root):
        folder, slash, _ = nfc(path).rpartition("/")
        prefix = folder + slash
        form = form_of(root / path, given)
        if form is None:
            yield Malformed(path, "has none of the forms that transcripts in sub-folders have")
            continue
        scope = _scope(folder, given.index)
        for entry in form.entries(root / path, given):
            if isinstance(entry, Malformed):
                yield replace(entry, where=prefix + entry.where)
            elif isinstance(entry, Entry):
                yield _placed(entry, prefix, folder, scope, given.index)


def form_of(path: Path, given: CorpusProbe) -> FileFormat | None:
    """Return the form of one file."""
    if path.name.endswith(COLUMNS):
        return columns.FORMAT
    return next((form for form in FORMS if form.matches(path, given)), None)


def _scope(folder: str, index: AudioIndex) -> Scope:
    """Return the scope of names in a folder's transcripts: its own audio, where it has some."""
    return Scope.BELOW if folder and index.any_below(folder) else Scope.ANYWHERE


def _placed(entry: Entry, prefix: str, folder: str, scope: Scope, index: AudioIndex) -> Entry:
    name = index.without_ending(entry.audio)
    path = name if is_absolute(name) else prefix + name
    return replace(
        entry,
        where=prefix + entry.where,
        prefix=prefix,
        id=None if entry.id is None else prefix + entry.id,
        speaker=entry.speaker or speaker_of(path),
        language=entry.language or language_of(f"{index.root.name}/{path}"),
        near=folder,
        scope=scope,
    )


def _fits(given: CorpusProbe) -> bool:
    root = given.text_folder
    if given.folder is None or root is None or not given.index:
        return False
    return any(form_of(root / path, given) for path in files(root))


def _open(given: CorpusProbe) -> Corpus:
    root = given.text_folder
    if root is None or not files(root):
        raise UsageError(f"there is no {', '.join(COLUMNS)} or metadata.csv below {root or given.text}")
    return given.corpus("tree", lambda: entries(root, given))


FORMAT = FolderFormat("tree", f"{', '.join(COLUMNS)} or metadata.csv in sub-folders", _fits, _open)
