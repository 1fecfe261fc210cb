"""Lists that voice trainers write: `path|speaker|language|text`, `path|speaker|text`, `path|text|speaker`.

GPT-SoVITS and Bert-VITS2 have four columns, and Bert-VITS2 more after preprocessing; VITS and StyleTTS2 have
three, in either order. LJSpeech's three look the same, so the values decide, and where they do not the user
is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from pipeline.corpus import lines
from pipeline.corpus.entry import Entry, Malformed
from pipeline.corpus.format import CorpusProbe, FileFormat, says_columns
from pipeline.errors import UsageError

SEPARATORS = ("|", "\t")
ISO = (
    "ar",
    "cs",
    "de",
    "en",
    "es",
    "fr",
    "hi",
    "it",
    "ja",
    "ko",
    "nl",
    "pl",
    "pt",
    "ru",
    "tr",
    "vi",
    "yue",
    "zh",
)
LANGUAGES = {**dict(zip(ISO, ISO, strict=True)), "jp": "ja", "kr": "ko", "cn": "zh"}  # as trainers write them
TAGGED = re.compile(r"\[([A-Z]{2})\](.*)\[\1\]", re.DOTALL)  # VITS fine-tuning: [ZH]text[ZH]
LABEL = 40  # characters that a speaker's name has at most
SHOWN = 3  # rows that a question shows


@dataclass(frozen=True)
class Roles:
    """Which column is what, from 0; column 0 is the audio. `form` is the name of the format it makes."""

    form: str
    text: int
    speaker: int | None = None
    language: int | None = None


LJSPEECH = Roles("ljspeech", 2)
FOUR = Roles("vits", 3, 1, 2)
SPEAKER_FIRST, SPEAKER_LAST = Roles("vits", 2, 1), Roles("vits", 1, 2)


def rows_of(path: Path, given: CorpusProbe) -> tuple[str, list[list[str]]]:
    """Return the separator and the first rows, if most lines have three or more columns; else no rows."""
    head = given.head(path)
    for separator in SEPARATORS:
        rows = [[cell.strip() for cell in line.split(separator)] for line in head]
        counts = [len(row) for row in rows]
        usual = max(set(counts), key=counts.count, default=0)
        if usual > 2 and counts.count(usual) * 2 > len(head):
            return separator, [row for row in rows if len(row) == usual]
    return "|", []


def readings(rows: list[list[str]]) -> list[Roles]:
    """Return the ways in which the values of three columns or more can be meant."""
    columns = list(zip(*rows, strict=True))
    if len(columns) > 3:
        return [FOUR] if all(value.lower() in LANGUAGES for value in columns[2]) else []
    audio, second, third = columns
    found = []
    if _are_labels(second, audio):
        found.append(SPEAKER_FIRST)
    if _are_labels(third, audio):
        found.append(SPEAKER_LAST)
    return found if found or not _are_alike(second, third) else [LJSPEECH]


def _are_labels(values: tuple[str, ...], audio: tuple[str, ...]) -> bool:
    """Return whether values name speakers: short, and numbers, often the same, or in the audio's path."""
    if not all(0 < len(value) <= LABEL for value in values):
        return False
    in_path = all(value in re.split(r"[/\\]", path) for value, path in zip(values, audio, strict=True))
    return in_path or all(value.isdecimal() for value in values) or len(set(values)) * 2 <= len(values)


def _are_alike(second: tuple[str, ...], third: tuple[str, ...]) -> bool:
    """Return whether most texts are like their normalised form, where there is one."""
    pairs = [(a.lower(), b.lower()) for a, b in zip(second, third, strict=True) if b]
    return sum(_is_alike(a, b) for a, b in pairs) * 2 >= len(pairs)


def _is_alike(a: str, b: str) -> bool:
    """Return whether two texts share half of their words, or most of their characters."""
    words, others = set(a.split()), set(b.split())
    shared = len(words & others) * 2 >= min(len(words), len(others))
    return shared or SequenceMatcher(None, a, b, autojunk=False).ratio() >= 0.6


def roles_of(path: Path, given: CorpusProbe) -> Roles | None:
    """Return the roles of a list's columns; None if it is no such list.

    Raises UsageError, with the first rows as they could be read, if its values do not decide.
    """
    separator, rows = rows_of(path, given)
    near = given.index.near(path.parent)
    if says_columns(given.settings) or not any(given.index.find(row[0], near) for row in rows):
        return None
    found = readings(rows)
    if len(found) == 1:
        return found[0]
    shown = "; ".join(separator.join(row) for row in rows[:SHOWN])
    possible = found or [SPEAKER_FIRST, SPEAKER_LAST, LJSPEECH]
    ways = " or ".join(_in_words(roles, rows[0]) for roles in possible)
    raise UsageError(
        f"{path} begins {shown!r}, and the first row may be read as {ways}: choose with --transcripts vits, "
        f"ljspeech, or columns with --split_word {separator!r} --text_index N, counted from 0"
    )


def _in_words(roles: Roles, row: list[str]) -> str:
    said = f"the text {row[roles.text]!r}" if roles.text < len(row) else "a text"
    return said if roles.speaker is None else f"{said} by {row[roles.speaker]!r}"


def entries(path: Path, given: CorpusProbe) -> Iterator[Entry | Malformed]:
    """Yield the entries."""
    separator, rows = rows_of(path, given)
    found = [roles for roles in readings(rows) if roles.form == "vits"] if rows else []
    roles = found[0] if found else FOUR if rows and len(rows[0]) > 3 else SPEAKER_FIRST
    width, near = len(rows[0]) if rows else roles.text + 1, given.index.near(path.parent)
    for where, line in lines.read_lines(path, given.settings):
        row = [cell.strip() for cell in line.split(separator)] if isinstance(line, str) else []
        if isinstance(line, Malformed):
            yield line
        elif len(row) != width or not row[0]:
            yield Malformed(where, f"has {len(row)} columns parted by {separator!r} of {width}, or no name")
        else:
            yield _entry(row, roles, where, near)


def _entry(row: list[str], roles: Roles, where: str, near: str | None) -> Entry:
    text = row[roles.text]
    language = row[roles.language] if roles.language is not None else None
    if tagged := TAGGED.fullmatch(text):
        language, text = tagged[1], tagged[2].strip()
    if language is not None:
        language = LANGUAGES.get(language.lower(), language.lower())
    speaker = row[roles.speaker] if roles.speaker is not None else None
    return Entry(where, row[0], text, speaker=speaker or None, language=language or None, near=near)


def _matches(path: Path, given: CorpusProbe) -> bool:
    roles = roles_of(path, given)
    return roles is not None and roles.form == "vits"


FORMAT = FileFormat("vits", "lines of path|speaker|language|text or path|speaker|text", _matches, entries)
