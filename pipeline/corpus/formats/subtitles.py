"""Reads time-stamped texts: SRT, WebVTT, and the JSON of Whisper and its kin.

An entry's recording is named by whoever pairs the files, `segments.py`.

Sources: w3.org/TR/webvtt1, the SubRip program's files, `openai-whisper`'s and whisper.cpp's JSON.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pipeline.config import CorpusSettings
from pipeline.corpus.entry import Entry, Malformed
from pipeline.corpus.fields import Fields

TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{2})(?:[.,](\d{1,3}))?"
TIMING = re.compile(rf"\s*{TIME}\s*-->\s*{TIME}")
VOICE = re.compile(r"<v(?:\.[^ >]*)? ([^>]+)>")  # WebVTT: who speaks
MARKUP = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")  # tags of both formats, and SSA's overrides


def cues(content: str, name: str) -> Iterator[Entry | Malformed]:
    """Yield the cues of an SRT or WebVTT file, without notes, styles, numbers and markup."""
    lines = content.splitlines()
    position = 0
    while position < len(lines):
        line, where = lines[position], f"{name}:{position + 1}"
        position += 1
        if "-->" not in line:
            continue
        body = []
        while position < len(lines) and lines[position].strip():
            if "-->" in lines[position]:  # the blank line before the next cue is missing
                break
            body.append(lines[position])
            position += 1
        yield _cue(line, body, where)


def _cue(timing: str, body: list[str], where: str) -> Entry | Malformed:
    match = TIMING.match(timing)
    if match is None:
        return Malformed(where, f"is no timing of a cue: {timing.strip()!r}")
    start, end = _seconds(*match.groups()[:4]), _seconds(*match.groups()[4:])
    if end <= start:
        return Malformed(where, f"ends at {end:g} s, before it starts at {start:g} s")
    text = " ".join(body)
    voice = VOICE.search(text)
    plain = html.unescape(MARKUP.sub("", text))
    speaker = voice[1].strip() if voice else None
    return Entry(where, "", " ".join(plain.split()), speaker=speaker, start=start, end=end)


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float:
    whole = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)  # TIME bounds their digits
    return whole + int((fraction or "0").ljust(3, "0")) / 1000


def json_segments(content: str, name: str, settings: CorpusSettings) -> Iterator[Entry | Malformed]:
    """Yield the segments of a JSON file: a list of them, or an object with `segments` or `transcription`.

    Anything else is one Malformed.
    """
    rows, language = _rows(content)
    if rows is None:
        yield Malformed(
            f"{name}:1", "is no JSON with a list of segments that have a start, an end and a text"
        )
        return
    for number, row in enumerate(rows, start=1):
        yield _segment(row, f"{name}:segment {number}", language, settings)


def has_segments(content: str) -> bool:
    """Return whether a JSON text is one that `json_segments` reads."""
    return _rows(content)[0] is not None


def _rows(content: str) -> tuple[list[Mapping[str, Any]] | None, str | None]:
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        return None, None
    language = None
    if isinstance(parsed, Mapping):
        result = parsed.get("result")  # whisper.cpp
        language = parsed.get("language") or (result.get("language") if isinstance(result, Mapping) else None)
        parsed = parsed.get("segments", parsed.get("transcription"))
    if not isinstance(parsed, list) or not all(isinstance(row, Mapping) for row in parsed):
        return None, None
    rows = [_with_seconds(row) for row in parsed]
    if any(not {"start", "offset", "begin", "start_time"} & row.keys() for row in rows[:1]):
        return None, None
    return rows, language if isinstance(language, str) else None


def _with_seconds(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Convert whisper.cpp's `offsets`, which are in milliseconds."""
    offsets = row.get("offsets")
    if not isinstance(offsets, Mapping):
        return row
    try:
        return {**row, "start": offsets["from"] / 1000, "end": offsets["to"] / 1000}
    except (KeyError, TypeError, OverflowError):
        return row


def _segment(
    row: Mapping[str, Any], where: str, language: str | None, settings: CorpusSettings
) -> Entry | Malformed:
    here = "this recording"
    read = replace(Fields.choose(row, settings), audio=here, id=None).entry({**row, here: here}, where)
    if not isinstance(read, Entry):
        return read
    if read.start is None or read.end is None:
        return Malformed(where, f"has {', '.join(map(str, row))}, but no start and end")
    return replace(read, text=" ".join(read.text.split()), language=read.language or language)
