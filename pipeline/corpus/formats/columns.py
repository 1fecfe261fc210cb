"""One entry a line, its columns split by a separator: `id:text`, tab, `|` or spaces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.config import CorpusSettings
from pipeline.corpus import lines
from pipeline.corpus.entry import Entry, Malformed
from pipeline.corpus.format import CorpusProbe, FileFormat

DEFAULT = str(CorpusSettings.model_fields["split_word"].default)
SPACES = " "  # any run of spaces or tabs, as LibriSpeech has
MARKUP = ("{", "[", "<")  # begins JSON or XML, whose lines can be split too
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


def separator_of(path: Path, given: CorpusProbe) -> str:
    """Return the separator that makes most lines name audio; else the one that splits most of them.

    A `split_word` other than the default is taken as it is; a tab may be written out as backslash and t.
    """
    chosen = given.settings.split_word.replace("\\t", "\t")
    if chosen != DEFAULT:
        return chosen
    head, near = given.head(path), given.index.near(path.parent)

    def fit(separator: str) -> tuple[int, int]:
        parted = [columns for line in head if (columns := split_line(line, separator, given.settings))]
        return sum(bool(given.index.find(name, near)) for name, _ in parted), len(parted)

    return max((chosen, *OTHERS), key=fit)


def entries(path: Path, given: CorpusProbe) -> Iterator[Entry | Malformed]:
    """Yield the entries of a columns file."""
    settings, near = given.settings, given.index.near(path.parent)
    separator = separator_of(path, given)
    for where, line in lines.read_lines(path, given.settings):
        if isinstance(line, Malformed):
            yield line
        elif columns := split_line(line, separator, settings):
            name, text = columns
            yield Entry(where, name, text, near=near)
        else:
            needed = max(settings.file_index, settings.text_index) + 1
            yield Malformed(where, f"has not {needed} columns parted by {separator!r}, or no name")


def _matches(path: Path, given: CorpusProbe) -> bool:
    """Return whether some line names audio."""
    head = given.head(path)
    if not head or not given.index or head[0].lstrip()[:1] in MARKUP:
        return False
    near = given.index.near(path.parent)
    separator = separator_of(path, given)
    parted = [columns for line in head if (columns := split_line(line, separator, given.settings))]
    return any(given.index.find(name, near) for name, _ in parted)


FORMAT = FileFormat(
    "columns", "lines of id, separator (:, tab, | or --split_word) and text", _matches, entries
)
