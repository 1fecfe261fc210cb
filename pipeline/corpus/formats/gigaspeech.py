"""GigaSpeech's `GigaSpeech.json`: an object with `audios`, each with its `segments`.

Marks of punctuation become signs, tags of noise nothing. Source: github.com/SpeechColab/GigaSpeech.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.corpus import lines
from pipeline.corpus.entry import Entry, Malformed
from pipeline.corpus.fields import Fields, plain
from pipeline.corpus.format import CorpusProbe, FileFormat

SIGNS = {"COMMA": ",", "PERIOD": ".", "QUESTIONMARK": "?", "EXCLAMATIONPOINT": "!"}
TAG = re.compile(r"\s*<([A-Z]+)>")
FIELDS = Fields.of(
    "text", "audio", id="sid", speaker="speaker", language="language", start="begin", end="end"
)


def entries(path: Path, given: CorpusProbe) -> Iterator[Entry | Malformed]:
    """Yield the segments of all recordings."""
    near = given.index.near(path.parent)
    language = re.search(r'"language"\s*:\s*"([A-Za-z-]+)"', given.beginning(path))
    for where, audio in lines.read_items(path, "audios.item"):
        if isinstance(audio, Malformed):
            yield audio
        elif not isinstance(audio, Mapping) or not isinstance(audio.get("segments"), list):
            yield Malformed(where, "is a recording without segments")
        else:
            for segment in audio["segments"]:
                if isinstance(segment, Mapping):
                    row = _row(segment, audio.get("path"), language[1].lower() if language else None)
                    yield FIELDS.entry(row, where, near)
                else:
                    yield Malformed(where, f"has a {type(segment).__name__} for a segment")


def _row(segment: Mapping[str, Any], audio: object, language: str | None) -> dict[str, object]:
    text, speaker = segment.get("text_tn"), plain(segment.get("speaker"))
    if isinstance(text, str):
        text = TAG.sub(lambda tag: SIGNS.get(tag[1], ""), text)
    return {
        "audio": audio,
        "text": text,
        "sid": segment.get("sid"),
        "speaker": None if speaker == "N/A" else speaker,
        "language": language,
        "begin": segment.get("begin_time"),
        "end": segment.get("end_time"),
    }


def _matches(path: Path, given: CorpusProbe) -> bool:
    return re.match(r'\s*\{.*"audios"\s*:\s*\[', given.beginning(path), re.DOTALL) is not None


FORMAT = FileFormat("gigaspeech", "JSON with audios and their segments", _matches, entries)
