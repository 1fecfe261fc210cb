"""Long recordings with time-stamped transcripts: `talk.mp3` and `talk.srt`, `.TextGrid` … beside it.

Each segment or cue is an utterance, decoded by offset. This module pairs the files; `subtitles.py` and
`labels.py` read them. An id is the recording's path and the times: `talks/one-00001230-00004560`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pipeline.config import CorpusSettings
from pipeline.corpus import lines
from pipeline.corpus.audio_index import AudioIndex
from pipeline.corpus.corpus import Corpus
from pipeline.corpus.entry import Entry, Malformed, Scope
from pipeline.corpus.format import CorpusProbe, FolderFormat
from pipeline.corpus.formats import labels
from pipeline.corpus.formats.subtitles import cues, has_segments, json_segments
from pipeline.corpus.listing import nfc, scan
from pipeline.errors import UsageError
from pipeline.storage.on_disk import DiskMap

READERS = {
    **{".textgrid": labels.text_grid, ".eaf": labels.elan, ".srt": cues, ".vtt": cues},
    **{".tsv": labels.whisper_tsv, ".txt": labels.audacity},
}
ENDINGS = (".json", *READERS)  # in order of preference: JSON has the finest times
SHOWN = ".json, .srt, .vtt, .tsv, .TextGrid, .eaf or Audacity's .txt"
LANGUAGE = re.compile(r"\.([a-z]{2,3}(?:-[A-Za-z]{2,4})?)$")  # as video downloaders write: talk.en.vtt
Pair = tuple[int, Path, str, str | None]  # rank, transcript, recording's name, language by the file's name


def entries(pairs: DiskMap[Pair], root: Path, settings: CorpusSettings) -> Iterator[Entry | Malformed]:
    """Yield the segments of all recordings, one recording after the other."""
    for _, path, recording, language in pairs.values():
        shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
        for segment in _segments(path, shown, settings):
            if isinstance(segment, Malformed):
                yield segment
                continue
            stated = segment.language or language
            yield replace(segment, audio=recording, language=stated, scope=Scope.EXACT)


def _segments(path: Path, shown: str, settings: CorpusSettings) -> Iterator[Entry | Malformed]:
    content = lines.read_text(path, f"{shown}:1", settings)
    if isinstance(content, Malformed):
        yield content
        return
    if path.suffix.lower() == ".json":
        yield from json_segments(content, shown, settings)
    else:
        yield from READERS[path.suffix.lower()](content, shown)


def pairs_of(given: CorpusProbe) -> DiskMap[Pair]:
    """Return transcripts whose recording is there, the best one of each, by recording."""
    index, root, best = given.index, given.text_folder, DiskMap[Pair]()
    if given.text_file is not None and given.text_file.name.lower().endswith(ENDINGS):
        recording, language = _of_file(given.text_file, index)
        if recording is not None:
            best[recording] = 0, given.text_file, recording, language
    timed: dict[str, bool] = {}  # by ending, as the first file of a recording's name has it
    for name in () if root is None else scan(root, ENDINGS):
        assert root is not None
        stem, _, ending = name.rpartition(".")
        ending = "." + ending.lower()
        if timed.get(ending) is False:
            continue
        recording, language = _recording(nfc(stem), index)
        rank = ENDINGS.index(ending)
        if not recording or rank >= (best.get(recording) or (len(ENDINGS),))[0]:
            continue
        if ending not in timed:
            timed[ending] = ending == ".json" or _is_timed(root / name, given.settings)
        if timed[ending]:
            best[recording] = rank, root / name, recording, language
    return best


def _of_file(path: Path, index: AudioIndex) -> tuple[str | None, str | None]:
    """Return the recording, and language, of a transcript given by itself: of its name, or the only one."""
    near = index.near(path.parent) or ""
    recording, language = _recording(nfc(f"{near}/{path.stem}".lstrip("/")), index)
    if recording is None:
        recording, language = _recording(nfc(path.stem), index)
    if recording is None and len(index) == 1:
        recording = next(iter(index))
    return recording, language


def _recording(stem: str, index: AudioIndex) -> tuple[str | None, str | None]:
    """Return the recording, and perhaps the language, that a transcript's path without ending names."""
    if index.find(stem, scope=Scope.EXACT):
        return stem, None
    match = LANGUAGE.search(stem)
    if match and index.find(stem[: match.start()], scope=Scope.EXACT):
        return stem[: match.start()], match[1]
    return None, None


def _is_timed(path: Path, settings: CorpusSettings) -> bool:
    """Return whether a transcript has times; JSON and texts may also be sidecars of single clips."""
    ending = path.suffix.lower()
    if ending not in {".json", ".tsv", ".txt"}:
        return True
    content = lines.read_text(path, "", settings)
    if isinstance(content, Malformed):
        return False
    if ending == ".json":
        return has_segments(content)
    return labels.is_audacity(content) if ending == ".txt" else content.startswith(labels.WHISPER_HEADER)


def _fits(given: CorpusProbe) -> bool:
    if given.folder is None:
        return False
    first = next(pairs_of(given).values(), None)
    return first is not None and _is_timed(first[1], given.settings)


def _open(given: CorpusProbe) -> Corpus:
    pairs = pairs_of(given)
    first = next(pairs.values(), None)
    if first is None:
        raise UsageError(
            f"there is no {SHOWN} beside a recording of its name in {given.text or given.settings.audio}"
        )
    root = given.text_folder or first[1].parent
    return given.corpus("segments", lambda: entries(pairs, root, given.settings))


FORMAT = FolderFormat("segments", f"a time-stamped transcript ({SHOWN}) of each recording", _fits, _open)
