"""WebDataset: tar shards in which files of one name belong together, as Emilia has `a.mp3` and `a.json`.

The name that counts is the path up to the first dot of the file's name. Headers are read once, while
planning; a locator holds where the audio lies, so that a worker reads just that:
`EN/000.tar!a.mp3@1536+40960`, the member's offset and size in bytes. An id is the JSON's own, else the tar's
path and the member's, without endings.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import BinaryIO

from pipeline.audio.source import AudioSource, FileSlice
from pipeline.config import CorpusSettings
from pipeline.corpus import encodings
from pipeline.corpus.audio_index import AUDIO_ENDINGS
from pipeline.corpus.corpus import Corpus, Files
from pipeline.corpus.entry import Entry, Item, Malformed, Textless
from pipeline.corpus.fields import HERE, Fields, fields_of_rows
from pipeline.corpus.format import CorpusProbe, FolderFormat
from pipeline.corpus.formats import jsonl
from pipeline.errors import UsageError

ENDINGS = (".tar",)
TEXT_ENDINGS = (".json", ".normalized.txt", ".txt", ".lab", ".original.txt")  # the first with a text counts
MAX_TEXT = 1 << 20  # bytes; a larger file is no transcript of a clip
LOCATOR = re.compile(r"(?P<tar>.+)!(?P<name>.+)@(?P<offset>\d+)\+(?P<size>\d+)", re.DOTALL)


@dataclass(frozen=True)
class TarSource:
    """Members of uncompressed tar files that `tars` opens."""

    tars: AudioSource

    def stat(self, locator: str) -> tuple[int, int]:
        """Return the size of the member and the version of its tar."""
        tar, _, _, size = parse(locator)
        return size, self.tars.stat(tar)[1]

    def open(self, locator: str) -> BinaryIO:
        """See `AudioSource.open`."""
        tar, name, offset, size = parse(locator)
        member = FileSlice(self.tars.open(tar), name, offset, size)
        return io.BufferedReader(member)  # headers are read in many small pieces


def parse(locator: str) -> tuple[str, str, int, int]:
    """Split a locator into tar, member's name, offset and size. Raises FileNotFoundError if it is none."""
    match = LOCATOR.fullmatch(locator)
    if match is None:
        raise FileNotFoundError(f"{locator} names no member of a tar file")
    return match["tar"], match["name"], int(match["offset"]), int(match["size"])


@dataclass(frozen=True)
class Member:
    """A file in a tar: its name, where its bytes lie, and what they are if they may be a text."""

    name: str
    offset: int
    size: int
    text: bytes | None

    @property
    def key(self) -> str:
        """The path up to the first dot of the file's name; members of one key belong together."""
        folder, slash, name = self.name.rpartition("/")
        return folder + slash + name.partition(".")[0]

    @property
    def ending(self) -> str:
        """The rest, in lower case."""
        return self.name[len(self.key) :].lower()


def entries(path: str, *, tars: AudioSource, settings: CorpusSettings) -> Iterator[Item]:
    """Yield the entries of a tar, in the order of its members."""
    faults: list[Malformed] = []
    fields_of = fields_of_rows(settings)
    with tars.open(path) as file:
        for key, group in groupby(_members(file, path, faults), key=lambda member: member.key):
            yield from _sample(path, key, list(group), settings, fields_of)
    yield from faults


def _members(file: BinaryIO, path: str, faults: list[Malformed]) -> Iterator[Member]:
    """Yield the files in a tar; if it ends early or is damaged, note that in `faults` and stop."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                tar.members.clear()  # type: ignore[attr-defined]  # it would keep them all
                if info.issparse():
                    why = "is stored with holes; pack it without --sparse"
                    faults.append(Malformed(f"{path}:{info.name}", why))
                    continue
                if not 0 <= info.size <= size - info.offset_data:
                    raise tarfile.ReadError(f"{info.name} would have {info.size:,} bytes")
                if not info.isreg() or info.name.rpartition("/")[2].startswith("."):
                    continue
                is_text = info.name.lower().endswith(TEXT_ENDINGS) and info.size <= MAX_TEXT
                opened = tar.extractfile(info) if is_text else None
                text = opened.read() if opened else None
                yield Member(info.name.removeprefix("./"), info.offset_data, info.size, text)
    except (tarfile.TarError, ValueError, OverflowError) as error:  # sizes in headers may be any number
        faults.append(Malformed(f"{path}:{file.tell()}", f"is where the tar cannot be read on: {error}"))


def _sample(
    path: str,
    key: str,
    members: list[Member],
    settings: CorpusSettings,
    fields_of: Callable[[Mapping[str, object]], Fields],
) -> Iterator[Item]:
    """Yield what the members of one key are: an entry, audio without text, or nothing."""
    by_ending = {member.ending: member for member in members}
    endings = AUDIO_ENDINGS if settings.ext is None else ("." + settings.ext.lower().lstrip("."),)
    audio = next((by_ending[ending] for ending in endings if ending in by_ending), None)
    text = next((by_ending[ending] for ending in TEXT_ENDINGS if ending in by_ending), None)
    locator = "" if audio is None else f"{path}!{audio.name}@{audio.offset}+{audio.size}"
    if text is None or text.text is None:
        if locator:
            yield Textless(locator)
        return
    where, name = f"{path}:{text.name}", f"{path.removesuffix('.tar')}/{key}"
    try:
        content = encodings.decode(text.text, settings)
    except ValueError as error:
        yield Malformed(where, str(error))
        return
    if text.ending != ".json":
        yield Entry(where, locator, " ".join(content.split()), name)
        return
    row = jsonl.parse(content, where)
    yield row if isinstance(row, Malformed) else _of_json(row, where, locator, name, fields_of(row).whole)


def _of_json(
    row: dict[str, object], where: str, locator: str, name: str, fields: Fields
) -> Entry | Malformed:
    found = fields.entry({**row, HERE: locator or where}, where)
    if isinstance(found, Malformed):
        return found
    return replace(found, audio=locator, id=name if fields.id == HERE else found.id)


def _tars(given: CorpusProbe) -> list[str]:
    return given.files(ENDINGS)


def _fits(given: CorpusProbe) -> bool:
    if given.text is not None or given.folder is None or given.index:
        return False  # archives beside the files they were unpacked to are not the corpus
    return bool(_tars(given))


def _open(given: CorpusProbe) -> Corpus:
    paths, settings, tars = _tars(given), given.settings, given.source
    if not paths:
        raise UsageError(
            f"there is no .tar below {given.audio_folder()}; compressed ones must be unpacked first"
        )
    read = Files(paths, partial(entries, tars=tars, settings=settings))
    return Corpus("webdataset", TarSource(tars), read, settings.language)


FORMAT = FolderFormat("webdataset", "tar shards of audio with .json or .txt", _fits, _open)
