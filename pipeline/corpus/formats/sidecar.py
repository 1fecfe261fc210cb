"""A text file for each audio file: `a/1.wav` and `a/1.txt`, in one folder tree or in two alike.

`.normalized.txt` and `.original.txt` are LibriTTS's; a `.json` is read by `fields.py`'s names, as Emilia has
it beside each MP3. An id is the path without ending.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, groupby
from pathlib import Path

from pipeline.config import CorpusSettings
from pipeline.corpus import lines
from pipeline.corpus.audio_index import AudioIndex
from pipeline.corpus.corpus import Corpus
from pipeline.corpus.entry import Entry, Malformed, Scope
from pipeline.corpus.fields import Fields
from pipeline.corpus.format import CorpusProbe, FolderFormat
from pipeline.corpus.formats import jsonl
from pipeline.corpus.formats.labels import is_audacity
from pipeline.corpus.listing import nfc, walk
from pipeline.corpus.speakers import speaker_of
from pipeline.errors import UsageError
from pipeline.storage.on_disk import SortedTexts

ENDINGS = (".normalized.txt", ".txt", ".lab", ".original.txt", ".json")  # the first that is there counts
LABEL_COLUMNS = 2  # an HTK label line begins with two times, in units of 100 ns
Text = tuple[str, str]  # the path of its audio without ending, and its own


def entries(root: Path, given: CorpusProbe) -> Iterator[Entry | Malformed]:
    """Yield entries by folder and name. Text files in a folder without matching audio are none."""
    scope = scope_of(root, given.index)
    texts = _beside_audio(root, given.index, scope)
    for (name, path), content in lines.read_many(root, texts, lambda text: text[1]):
        entry = entry_of(content, path, name, given.settings)
        yield replace(entry, scope=scope) if isinstance(entry, Entry) else entry


def _beside_audio(root: Path, index: AudioIndex, scope: Scope) -> Iterator[Text]:
    for _, group in groupby(_texts(root), key=lambda text: text[0].rpartition("/")[0]):
        texts, first = iter(group), []  # up to one that has audio
        for text in texts:
            first.append(text)
            if index.find(text[0], scope=scope):
                break
        else:
            continue
        yield from chain(first, texts)


def scope_of(root: Path, index: AudioIndex) -> Scope:
    """Return the scope: a text lies beside its audio; of two trees, one may have more folders on top."""
    return Scope.EXACT if root.absolute() == index.root else Scope.ANYWHERE


def entry_of(content: bytes | str, path: str, name: str, settings: CorpusSettings) -> Entry | Malformed:
    """Return what `lines.read_content` has of a text file as the entry of the audio `name`.

    Its lines are joined by spaces.
    """
    where = f"{path}:1"
    text = lines.decoded(content, where, settings)
    if isinstance(text, Malformed):
        return text
    if path.lower().endswith(".json"):
        return _of_json(text, where, name, settings)
    parts = [line.strip() for line in text.splitlines() if line.strip()]
    if parts and (_is_label(parts[0]) if path.lower().endswith(".lab") else is_audacity(parts[0])):
        return Malformed(where, "is a list of labels with times, not a text")
    return Entry(where, name, " ".join(parts), name, speaker_of(name))


def _of_json(text: str, where: str, name: str, settings: CorpusSettings) -> Entry | Malformed:
    row = jsonl.parse(text, where)
    if isinstance(row, Malformed):
        return row
    fields = replace(Fields.choose(row, settings), audio="audio", id="id")
    return fields.entry({**row, "audio": name, "id": name}, where)  # the file's place says what it is for


def _texts(root: Path) -> Iterator[Text]:
    """Yield audio paths without ending and the text that counts for each; sorted by folder, then name."""
    for _, paths in groupby(walk(root, ENDINGS), key=lambda path: nfc(path.rpartition("/")[0])):
        ranked = SortedTexts()
        for path in paths:
            name, ending = _split(path)
            ranked.add(path, f"{name}\0{ENDINGS.index(ending)}")
        for name, same in groupby(ranked, key=lambda path: _split(path)[0]):
            yield name, next(same)


def _split(path: str) -> tuple[str, str]:
    """Return the name of the audio that a text's path tells, and the text's ending."""
    ending = max((ending for ending in ENDINGS if path.lower().endswith(ending)), key=len)
    return nfc(path[: -len(ending)]), ending


def _is_label(line: str) -> bool:
    times = line.split()[:LABEL_COLUMNS]
    return len(times) == LABEL_COLUMNS and all(time.isdecimal() for time in times)


def _fits(given: CorpusProbe) -> bool:
    root = given.text_folder
    if given.folder is None or root is None:
        return False
    scope = scope_of(root, given.index)
    return any(given.index.find(_split(path)[0], scope=scope) for path in walk(root, ENDINGS))


def _open(given: CorpusProbe) -> Corpus:
    root = given.text_folder
    if root is None:
        raise UsageError(f"--transcripts sidecar reads a folder of text files, and {given.text} is a file")
    return given.corpus("sidecar", lambda: entries(root, given))


FORMAT = FolderFormat(
    "sidecar", f"a text ({', '.join(ENDINGS)}) of the same name for each audio file", _fits, _open
)
