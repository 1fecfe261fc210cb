"""Reads labels with times: Audacity's, Whisper's TSV, Praat's TextGrid and ELAN's EAF.

An entry's recording is named by whoever pairs the files, `segments.py`. Sources:
manual.audacityteam.org (label tracks), `openai-whisper`'s writers, fon.hum.uva.nl/praat/manual (TextGrid file
formats), and mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from xml.etree import ElementTree

from pipeline.corpus.entry import Entry, Malformed
from pipeline.corpus.fields import LONGEST

AUDACITY = re.compile(r"(\d+(?:[.,]\d+)?)\t(\d+(?:[.,]\d+)?)\t(.*)")  # seconds; the comma of some locales
WHISPER = re.compile(r"(\d+)\t(\d+)\t(.*)")  # milliseconds
WHISPER_HEADER = "start\tend\ttext"
TOKEN = re.compile(r'"((?:[^"]|"")*)"|\[[^\]\n]*\]|(?<![\w.])(-?\d+(?:\.\d+)?(?:[eE]-?\d+)?)(?![\w.])')
PARTS = re.compile(
    r"phone|phn|syllab|word|token|gloss|pos\b", re.IGNORECASE
)  # names of tiers below sentences
SENTENCES = re.compile(r"(?:text|trans|utt|sent|segm|ortho|phrase|default|content)", re.IGNORECASE)


def is_audacity(content: str) -> bool:
    """Return whether a text begins as Audacity exports labels."""
    return AUDACITY.fullmatch(content.partition("\n")[0].rstrip("\r")) is not None


def audacity(content: str, name: str) -> Iterator[Entry | Malformed]:
    """Yield the labels; lines of frequencies, which begin with a backslash, belong to the one before."""
    return _rows(content, name, AUDACITY, lambda time: float(time.replace(",", ".")), "\\")


def whisper_tsv(content: str, name: str) -> Iterator[Entry | Malformed]:
    """Yield the segments."""
    return _rows(content, name, WHISPER, lambda time: int(time[:20]) / 1000, WHISPER_HEADER)


def _rows(
    content: str, name: str, row: re.Pattern[str], seconds: Callable[[str], float], skipped: str
) -> Iterator[Entry | Malformed]:
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip() or line.startswith(skipped):
            continue
        where, match = f"{name}:{number}", row.fullmatch(line)
        if match is None:
            yield Malformed(where, "is not a start, an end and a text, parted by tabs")
        else:
            yield _timed(where, match[3], seconds(match[1]), seconds(match[2]))


def _timed(where: str, text: str, start: float, end: float, speaker: str | None = None) -> Entry | Malformed:
    if not 0 <= start < end <= LONGEST:
        return Malformed(where, f"runs from {start:g} to {end:g} s")
    return Entry(where, "", " ".join(text.split()), speaker=speaker, start=start, end=end)


def text_grid(content: str, name: str) -> Iterator[Entry | Malformed]:
    """Yield the intervals with a text of the tiers of sentences, in the long or short form of the file.

    A tier that is not named after what is in it is named after its speaker.
    """
    try:
        tiers = list(_tiers(content))
    except (ValueError, IndexError, StopIteration):
        yield Malformed(f"{name}:1", "is no TextGrid")
        return
    chosen = [(tier, intervals) for tier, intervals in tiers if not PARTS.search(tier)]
    if not chosen:
        named = ", ".join(tier for tier, _ in tiers) or "none"
        yield Malformed(f"{name}:1", f"has no tier of sentences (it has {named})")
    for tier, intervals in chosen:
        speaker = None if not tier.strip() or SENTENCES.match(tier) else tier.strip()
        for line, start, end, text in intervals:
            if text.strip():
                yield _timed(f"{name}:{line}", text, start, end, speaker)


Interval = tuple[int, float, float, str]  # line, start and end in seconds, text


def _tiers(content: str) -> Iterator[tuple[str, list[Interval]]]:
    """Yield the name and intervals of each tier. Raises ValueError or IndexError for what is no TextGrid."""
    tokens = [match for match in TOKEN.finditer(content) if match[1] is not None or match[2] is not None]
    position = 0
    line, counted = 1, 0

    def take(group: int) -> str:
        nonlocal position
        value = tokens[position][group]
        position += 1
        if value is None:
            raise ValueError("a text where a number belongs, or the other way round")
        return str(value)

    if (take(1), take(1)) != ("ooTextFile", "TextGrid"):
        raise ValueError("another file of Praat's")
    _ = take(2), take(2)
    for _ in range(int(take(2))):
        kind, name = take(1), take(1).replace('""', '"')
        _ = take(2), take(2)
        intervals: list[Interval] = []
        for _ in range(int(take(2))):
            line += content.count("\n", counted, tokens[position].start())
            counted = tokens[position].start()
            start = float(take(2))
            end = float(take(2)) if kind == "IntervalTier" else start
            intervals.append((line, start, end, take(1).replace('""', '"')))
        if kind == "IntervalTier":
            yield name, intervals


def elan(content: str, name: str) -> Iterator[Entry | Malformed]:
    """Yield the annotations of the tiers that depend on no other, with their participants as speakers."""
    try:
        root = ElementTree.fromstring(re.sub(r"^\s*<\?xml[^>]*>", "", content))
    except (ElementTree.ParseError, ValueError) as error:
        yield Malformed(f"{name}:1", f"is no XML: {error}")
        return
    slots = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    for tier in root.iter("TIER"):
        if tier.get("PARENT_REF") or PARTS.search(tier.get("TIER_ID", "")):
            continue
        for number, each in enumerate(tier.iter("ALIGNABLE_ANNOTATION"), start=1):
            where = f"{name}:{tier.get('TIER_ID')} {number}"
            times = [slots.get(each.get(key)) for key in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")]
            if not all(time is not None and time.isdecimal() and len(time) < 20 for time in times):
                yield Malformed(where, "has no times")
                continue
            text = each.findtext("ANNOTATION_VALUE") or ""
            start, end = (int(time or 0) / 1000 for time in times)
            yield _timed(where, text, start, end, tier.get("PARTICIPANT") or None)
