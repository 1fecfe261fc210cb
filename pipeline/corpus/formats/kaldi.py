"""A Kaldi data folder: `wav.scp`, `text`, and where present `segments`, `utt2spk`, `utt2lang`.

The files are described at kaldi-asr.org/doc/data_prep.html. A command in `wav.scp` is never run: what it
would make must be written to a file first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.config import CorpusSettings
from pipeline.corpus import lines
from pipeline.corpus.corpus import Corpus
from pipeline.corpus.entry import Entry, Malformed
from pipeline.corpus.fields import LONGEST
from pipeline.corpus.format import CorpusProbe, FolderFormat
from pipeline.corpus.tables import Row, Table
from pipeline.errors import UsageError

TABLES = ("wav.scp", "segments", "utt2spk", "utt2lang")


def _rows(path: Path, settings: CorpusSettings) -> Iterator[Row | Malformed]:
    """Yield the lines `key value` of a file that may be there."""
    for where, line in lines.read_lines(path, settings) if path.is_file() else ():
        columns = line.split(None, 1) if isinstance(line, str) else []
        if isinstance(line, Malformed):
            yield line
        elif len(columns) < 2:
            yield Malformed(where, f"has a key and no value: {line.strip()!r}")
        else:
            yield where, columns[0], columns[1].strip()


def entries(folder: Path, given: CorpusProbe) -> Iterator[Entry | Malformed]:
    """Yield the entries of `text`, in its order, and lines of the other files that are amiss.

    Kaldi sorts all of them alike, so they are read side by side.
    """
    malformed: list[Malformed] = []
    tables = [Table(_rows(folder / name, given.settings), malformed) for name in TABLES]
    near = given.index.near(folder)
    for where, line in lines.read_lines(folder / "text", given.settings):
        entry = line if isinstance(line, Malformed) else _entry(line, where, tables, near)
        yield from malformed
        malformed.clear()
        yield entry
    for table in tables:
        table.read_on()
    yield from malformed


def _entry(line: str, where: str, tables: Sequence[Table], near: str | None) -> Entry | Malformed:
    recordings, segments, speakers, languages = tables
    key, text = (*line.split(None, 1), "", "")[:2]
    times = segment(segments.get(key), where)
    if isinstance(times, Malformed):
        return times
    recording, start, end = times or (key, None, None)
    audio = recordings.get(recording) or recording
    if audio.endswith("|"):
        why = f"{recording} is made by a command, which is not run; write its audio to a file"
        return Malformed(where, why)
    speaker, language = speakers.get(key), languages.get(key)
    return Entry(where, audio, text, key, speaker, language, start, end, near, leaves=True)


def segment(line: str | None, where: str) -> tuple[str, float, float | None] | Malformed | None:
    """Parse a line of `segments` without its key: recording, start, and end in seconds or None."""
    if line is None:
        return None
    try:
        recording, begins, ends, *_ = line.split()
        start, end = float(begins), float(ends)
    except ValueError:
        return Malformed(where, f"its segment is {line!r}, not a recording with start and end")
    if end == -1 and 0 <= start <= LONGEST:  # Kaldi's word for the end of the recording
        return recording, start, None
    if not 0 <= start < end <= LONGEST:
        return Malformed(where, f"its segment runs from {begins} to {ends} s")
    return recording, start, end


def folder_of(given: CorpusProbe) -> Path | None:
    """Return the folder that holds `wav.scp` and `text`: the one given, or that of the file given."""
    at = given.text_file.parent if given.text_file else given.text_folder
    return at if at and (at / "wav.scp").is_file() and (at / "text").is_file() else None


def _fits(given: CorpusProbe) -> bool:
    named = given.text_file is None or given.text_file.name in {"wav.scp", "text", "segments"}
    return given.folder is not None and named and folder_of(given) is not None


def _open(given: CorpusProbe) -> Corpus:
    folder = folder_of(given)
    if folder is None:
        raise UsageError(f"there is no wav.scp with a text beside it in {given.text or given.settings.audio}")
    return given.corpus("kaldi", lambda: entries(folder, given))


FORMAT = FolderFormat("kaldi", "a folder with wav.scp and text", _fits, _open)
