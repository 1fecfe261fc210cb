"""VCTK: `txt/p225/p225_001.txt`, and the audio in a tree beside, `wav48_silence_trimmed/`.

Of the two microphones of release 0.92 (`p225_001_mic1.flac`) the first counts, and the second where only that
recorded; the releases before have `wav48/p225/p225_001.wav`. Source: datashare.ed.ac.uk/handle/10283/3443.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.corpus import lines
from pipeline.corpus.corpus import Corpus
from pipeline.corpus.entry import Entry, Malformed, Scope
from pipeline.corpus.format import CorpusProbe, FolderFormat
from pipeline.corpus.listing import scan
from pipeline.corpus.speakers import speaker_of
from pipeline.errors import UsageError

TREES = ("wav48_silence_trimmed", "wav48", "wav16")
MICROPHONES = ("_mic1", "_mic2", "")


def entries(root: Path, given: CorpusProbe) -> Iterator[Entry | Malformed]:
    """Yield an entry for each text, by speaker and number."""
    texts = root / "txt"
    for path, content in lines.read_many(texts, scan(texts, (".txt",)), lambda path: path):
        name, where = path.rpartition(".")[0], f"txt/{path}:1"
        text = lines.decoded(content, where, given.settings)
        if isinstance(text, Malformed):
            yield text
            continue
        names = [f"{tree}/{name}{microphone}" for tree in TREES for microphone in MICROPHONES]
        audio = next((each for each in names if given.index.find(each, scope=Scope.EXACT)), names[0])
        yield Entry(where, audio, " ".join(text.split()), name, speaker_of(name), "en", scope=Scope.EXACT)


def _root(given: CorpusProbe) -> Path | None:
    root = given.folder
    if root is None or given.settings.text is not None or not (root / "txt").is_dir():
        return None
    return root if any((root / tree).is_dir() for tree in TREES) else None


def _fits(given: CorpusProbe) -> bool:
    return _root(given) is not None


def _open(given: CorpusProbe) -> Corpus:
    root = _root(given)
    if root is None:
        raise UsageError(f"there is no txt/ beside one of {', '.join(TREES)} in {given.settings.audio}")
    return given.corpus("vctk", lambda: entries(root, given))


FORMAT = FolderFormat("vctk", "txt/ beside wav48_silence_trimmed/ or wav48/", _fits, _open)
