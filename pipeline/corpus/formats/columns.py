"""One entry a line, its columns split by a separator: `id:text`, tab, `|` or spaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.config import CorpusSettings
from pipeline.corpus import lines
from pipeline.corpus.audio_index import AudioIndex
from pipeline.corpus.entry import Corpus, Entry, Malformed
from pipeline.corpus.format import CorpusProbe, Format
from pipeline.corpus.pairing import FolderCorpus
from pipeline.errors import UsageError

DEFAULT = str(CorpusSettings.model_fields["split_word"].default)
SPACES = " "  # any run of spaces or tabs, as LibriSpeech has
OTHERS = ("\t", "|", SPACES)  # tried where `split_word` is the default


def split_line(line: str, separator: str, settings: CorpusSettings) -> tuple[str, str] | None:
    """Return the file's name and the text of a line; None if it has too few columns.

    A line is split no more often than the two need, so the later of them, mostly the text, keeps every
    further separator: `id:a:b` is `id` and `a:b`.
    """
    last = max(settings.file_index, settings.text_index)
    columns = line.split(None if separator == SPACES else separator, last)
    if len(columns) <= last:
        return None
    name = columns[settings.file_index].strip()
    return (name, columns[settings.text_index].strip()) if name else None


def separator_of(head: Sequence[str], settings: CorpusSettings, index: AudioIndex, near: str | None) -> str:
    """Return the separator that makes most lines name audio; else the one that splits most of them.

    A `split_word` other than the default is taken as it is; a tab may be written out as backslash and t.
    """
    chosen = settings.split_word.replace("\\t", "\t")
    if chosen != DEFAULT:
        return chosen

    def fit(separator: str) -> tuple[int, int]:
        parted = [columns for line in head if (columns := split_line(line, separator, settings))]
        return sum(bool(index.find(name, near)) for name, _ in parted), len(parted)

    return max((chosen, *OTHERS), key=fit)


def entries(
    path: Path, settings: CorpusSettings, index: AudioIndex, prefix: str = ""
) -> Iterator[Entry | Malformed]:
    """Yield the entries of a columns file.

    `prefix`, its folder and a slash, goes before its ids and its name.
    """
    near = index.near(path.parent)
    separator = separator_of(lines.head(path), settings, index, near)
    for where, line in lines.read_lines(path, prefix + path.name):
        if isinstance(line, Malformed):
            yield line
        elif columns := split_line(line, separator, settings):
            name, text = columns
            identity = prefix + index.without_ending(name.replace("\\", "/")) if prefix else None
            yield Entry(where, name, text, identity, near=near)
        else:
            needed = max(settings.file_index, settings.text_index) + 1
            yield Malformed(where, f"has not {needed} columns parted by {separator!r}, or no name")


def _fits(given: CorpusProbe) -> bool:
    """Return whether some line names audio, or most are split by something else than spaces."""
    if not given.head or given.folder is None or not given.index.locators:
        return False
    near = given.index.near(_file(given).parent)
    separator = separator_of(given.head, given.settings, given.index, near)
    parted = [columns for line in given.head if (columns := split_line(line, separator, given.settings))]
    if any(given.index.find(name, near) for name, _ in parted):
        return True
    return separator != SPACES and len(parted) * 2 > len(given.head)


def _open(given: CorpusProbe) -> Corpus:
    settings, path = given.settings, _file(given)
    if settings.file_index == settings.text_index:
        raise UsageError(f"file_index and text_index are both {settings.text_index}; they are two columns")
    return FolderCorpus(
        "columns", given.index, lambda: entries(path, settings, given.index), settings.language
    )


def _file(given: CorpusProbe) -> Path:
    return given.transcript_file("columns")


FORMAT = Format("columns", "lines of id, separator (:, tab, | or --split_word) and text", _fits, _open)
