"""Lhotse manifests, `.jsonl` or `.jsonl.gz`: cuts, or supervisions with their recordings beside them.

Reads the JSON that lhotse writes (lhotse.readthedocs.io/en/latest/cuts.html) without the library. An
utterance is a supervision: its part of the recording is decoded by offset. What lhotse would compute when
loading (mixes, speed, commands, one channel of several) is malformed here: write it to files first.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.config import CorpusSettings
from pipeline.corpus import lines
from pipeline.corpus.corpus import Corpus
from pipeline.corpus.entry import Entry, Malformed
from pipeline.corpus.fields import LONGEST, plain
from pipeline.corpus.format import CorpusProbe, FolderFormat
from pipeline.corpus.formats import jsonl
from pipeline.corpus.listing import scan
from pipeline.corpus.tables import Row, Table
from pipeline.errors import UsageError

ENDINGS = (".jsonl", ".jsonl.gz")
EDGE = 0.001  # seconds; a supervision this close to both ends of its recording is all of it
Json = Mapping[str, Any]


def entries(path: Path, given: CorpusProbe) -> Iterator[Entry | Malformed]:
    """Yield the entries of a file of cuts or of supervisions, in its order."""
    near = given.index.near(path.parent)
    recordings: Recordings | None = None
    malformed: list[Malformed] = []
    for where, line in lines.read_lines(path, given.settings):
        row = line if isinstance(line, Malformed) else jsonl.parse(line, where)
        if isinstance(row, Malformed):
            yield row
        elif is_cut(row):
            yield from _of_cut(row, where, near)
        else:
            if recordings is None:
                recordings = Recordings(path, given.settings, malformed)
            entry = _of_supervision(row, recordings, where, near)
            yield from malformed
            malformed.clear()
            yield entry
    if recordings is not None:
        recordings.read_on()
        yield from malformed


def is_cut(row: Json) -> bool:
    """Return whether an object is a cut of any type, also one that cannot be read here."""
    return isinstance(row.get("supervisions"), list) or row.get("type") in {"MixedCut", "PaddingCut"}


def is_supervision(row: Json) -> bool:
    """Return whether an object is a supervision."""
    return {"recording_id", "start", "duration"} <= row.keys()


class Recordings:
    """Recordings by id. In lhotse's recipes their file has the supervisions' name but for the word."""

    def __init__(self, path: Path, settings: CorpusSettings, malformed: list[Malformed]) -> None:
        """Find them. Raises UsageError if there is no file of them beside the supervisions."""
        beside = path.with_name(path.name.replace("supervisions", "recordings"))
        if beside == path or not beside.is_file():
            raise UsageError(
                f"{path} holds supervisions, and there is no file of their recordings, {beside.name}, "
                "beside it"
            )
        self._lines = Table(_recordings(beside, settings), malformed)
        self.read_on = self._lines.read_on
        self._latest: tuple[str | None, Json | None] = None, None  # supervisions of one follow each other

    def get(self, name: str) -> Json | None:
        """Return a recording; None if there is none of this id."""
        if name != self._latest[0]:
            line = self._lines.get(name)
            self._latest = name, None if line is None else json.loads(line)
        return self._latest[1]


def _recordings(path: Path, settings: CorpusSettings) -> Iterator[Row | Malformed]:
    for where, line in lines.read_lines(path, settings):
        row = line if isinstance(line, Malformed) else jsonl.parse(line, where)
        yield row if isinstance(row, Malformed) else (where, str(row.get("id")), str(line))


def _of_cut(cut: Json, where: str, near: str | None) -> Iterator[Entry | Malformed]:
    recording, supervisions = cut.get("recording"), cut.get("supervisions")
    if not isinstance(recording, Mapping):
        kind = plain(cut.get("type")) or "cut"
        yield Malformed(where, f"is a {kind} without one recording; write its audio to a file first")
    elif not isinstance(supervisions, list) or not supervisions:
        yield Malformed(where, "is a cut without supervisions, so it has no text")
    else:
        for supervision in supervisions:
            yield _entry(supervision, recording, cut.get("start", 0.0), where, near)


def _of_supervision(
    supervision: Json, recordings: Recordings, where: str, near: str | None
) -> Entry | Malformed:
    name = plain(supervision.get("recording_id"))
    recording = recordings.get(name or "")
    if recording is None:
        return Malformed(where, f"is of the recording {name!r}, which is not there")
    return _entry(supervision, recording, 0.0, where, near)


def _entry(
    supervision: object, recording: Json, origin: Any, where: str, near: str | None
) -> Entry | Malformed:
    """Return a supervision as an entry; `origin` is where in the recording (seconds) its times count from."""
    if not isinstance(supervision, Mapping):
        return Malformed(where, f"has a {type(supervision).__name__} for a supervision")
    try:
        audio = audio_of(recording, supervision.get("channel", 0))
        start = max(0.0, float(origin) + float(supervision["start"]))
        end = float(origin) + float(supervision["start"]) + float(supervision["duration"])
        whole = start < EDGE and end > float(recording["duration"]) - EDGE
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        return Malformed(where, f"is no whole supervision: {type(error).__name__} {reprlib.repr(str(error))}")
    name, text = plain(supervision.get("id")), supervision.get("text")
    if audio is None:
        return Malformed(where, f"is of the recording {plain(recording.get('id'))!r}, {NOT_PLAIN}")
    if not start < end <= LONGEST:
        return Malformed(where, f"has a supervision from {start:g} to {end:g} s")
    if not name or not isinstance(text, str | None):
        return Malformed(where, f"has a supervision {name or 'without id'} whose text is no text")
    speaker, language = plain(supervision.get("speaker")), plain(supervision.get("language"))
    entry = Entry(where, audio, text or "", name, speaker or None, language or None, near=near)
    return entry if whole else replace(entry, start=round(start, 6), end=round(end, 6))


NOT_PLAIN = "which is not one unchanged file with the supervision's channels; write its audio to files first"


def audio_of(recording: Json, channel: object) -> str | None:
    """Return the path or URL of a recording that is a file as it is; None for anything that must be computed.

    Channels are mixed when a file is decoded, so a supervision must be of all of them. Raises TypeError or
    KeyError for a recording that is none.
    """
    sources = recording.get("sources")
    if not isinstance(sources, list) or len(sources) != 1 or recording.get("transforms"):
        return None
    source = sources[0]
    wanted = channel if isinstance(channel, list) else [channel]
    if source["type"] not in ("file", "url") or set(source.get("channels", [0])) != set(wanted):
        return None
    return plain(source["source"])


def manifest_of(given: CorpusProbe) -> Path | None:
    """Return the file of cuts or supervisions: as given, else the one in the folder that has such a name."""
    if given.text_file is not None:
        return given.text_file if given.text_file.name.endswith(ENDINGS) else None
    folder = given.text_folder
    if folder is None:
        return None
    names = list(scan(folder, ENDINGS, below=False))
    found = [name for word in ("cuts", "supervisions") for name in names if word in name]
    return folder / found[0] if found else None


def _fits(given: CorpusProbe) -> bool:
    path = manifest_of(given)
    if path is None or given.folder is None:
        return False
    first = next(iter(given.head(path)), "")
    row = jsonl.parse(first, "")
    return not isinstance(row, Malformed) and (is_cut(row) or is_supervision(row))


def _open(given: CorpusProbe) -> Corpus:
    path = manifest_of(given)
    if path is None:
        raise UsageError(
            f"there is no {' or '.join(ENDINGS)} of cuts in {given.text or given.settings.audio}"
        )
    return given.corpus("lhotse", lambda: entries(path, given))


FORMAT = FolderFormat("lhotse", "lhotse's cuts or supervisions, .jsonl or .jsonl.gz", _fits, _open)
