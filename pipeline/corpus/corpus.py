"""A corpus: the entries of its transcripts, paired with their audio, are utterances.

The rule of ids: an id is made of the entry alone, never of what other entries or files there are. So it
stays when the corpus grows, and a run that goes on finds its rows again.
- An entry with an id of its own keeps it.
- Otherwise the id is the audio's name as the transcript gives it, without ending: `LJ001-0001`, or `b/001`
  where the transcript writes folders. An absolute path counts from the audio folder.
- Transcripts spread over sub-folders give path-like ids (`jvs001/parallel100/VOICEACTRESS100_001`), since
  names repeat there: `tree.py`, `sidecar.py`.
- A part of a recording adds its times in milliseconds: `talk-00001230-00004560`.
Two entries that come to the same id are duplicates, which the planner rejects.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.audio.source import AudioSource
from pipeline.corpus.audio_index import AudioIndex, is_absolute
from pipeline.corpus.entry import Entry, Item, Malformed, Textless, is_printable, printable
from pipeline.corpus.listing import nfc
from pipeline.storage.on_disk import SortedTexts
from pipeline.utterance import Reason, Rejection, Utterance

SHOWN = 3  # candidates that an ambiguous name's rejection lists


@dataclass(frozen=True)
class Files:
    """Reads the files that hold a corpus's entries, one after the other; each can also be read by itself."""

    names: Sequence[str]
    entries: Callable[[str], Iterator[Item]]  # can be pickled

    def __call__(self) -> Iterator[Item]:
        """Yield the items of all files."""
        return chain.from_iterable(map(self.entries, self.names))


@dataclass
class Corpus:
    """Recordings with their texts, in one of the formats that `registry.py` lists.

    `kind` is the format's name, as `--transcripts` takes it. `source` opens what `Utterance.audio` names and
    can be pickled. `read` yields what the transcripts state. `index` finds the audio that an entry names;
    without one an entry's audio is a locator of `source` already, or empty where there is none.
    """

    kind: str
    source: AudioSource
    read: Callable[[], Iterator[Item]]
    language: str | None = None  # of entries that name none
    index: AudioIndex | None = None
    _textless: SortedTexts = field(default_factory=SortedTexts, init=False, repr=False)

    def __reduce__(self) -> tuple[type[Corpus], tuple[Any, ...]]:
        return Corpus, (self.kind, self.source, self.read, self.language, self.index)  # nothing read yet

    def utterances(self) -> Iterator[Utterance | Rejection]:
        """Stream every entry of the transcripts, in an order that depends on the files alone."""
        self.forget()
        yield from filter(None, map(self.take, self.read()))

    @property
    def files(self) -> Files | None:
        """The files that hold the entries, if each can be read without the others and an index."""
        return self.read if isinstance(self.read, Files) and self.index is None else None

    def forget(self) -> None:
        """Take the corpus for one of which nothing was read yet."""
        self._textless = SortedTexts()
        if self.index is not None:
            self.index.name_none()

    def take(self, item: Item) -> Utterance | Rejection | None:
        """Return what an item that was read is; None for audio without a text, which is noted."""
        if isinstance(item, Textless):
            self._textless.add(printable(item.audio))
            return None
        return item.rejection() if isinstance(item, Malformed) else self._utterance(item)

    def audio_without_text(self) -> SortedTexts:
        """Return locators that no entry named, sorted; complete once `utterances()` is exhausted."""
        return self._textless if self.index is None else self.index.unnamed()

    def _utterance(self, entry: Entry) -> Utterance | Rejection:
        said = "".join(filter(None, (entry.id, entry.audio, entry.text, entry.speaker, entry.language)))
        if not is_printable(said):
            return Malformed(entry.where, "holds half a surrogate pair, which is not a character").rejection()
        found = self._locators(entry)
        name = self._id(entry, found)
        if not found:
            return self._missing(name, entry)
        if len(found) > 1:
            shown = ", ".join(found[:SHOWN]) + (", …" if len(found) > SHOWN else "")
            detail = f"{entry.where}: {entry.audio!r} fits {len(found)} files ({shown}); name the folder too"
            return Rejection(name, entry.audio, Reason.MALFORMED_TRANSCRIPT, detail)
        language = entry.language or self.language
        return Utterance(name, found[0], entry.text.strip(), entry.speaker, language, entry.start, entry.end)

    def _locators(self, entry: Entry) -> list[str]:
        if self.index is None:
            return [entry.audio] if entry.audio else []
        return self.index.take(entry.audio, entry.near, entry.scope, leave=entry.leaves)

    def _missing(self, name: str, entry: Entry) -> Rejection:
        reason, why = Reason.MISSING_AUDIO, "there is no audio for it"
        if self.index is not None:
            why = f"no audio file fits {entry.audio!r} below {self.index.root}"
            if entry.leaves and (refusal := _refusal(entry.audio)):
                why = f"{entry.audio} may not be read ({refusal}); get the right to it, or leave it out"
            elif self.index.is_outside(entry.audio, entry.near):
                reason = Reason.OUTSIDE_CORPUS
                why += "; set corpus.allow_remote to read it from outside"
        return Rejection(name, entry.audio, reason, printable(f"{entry.where}: {why}"))

    def _id(self, entry: Entry, found: list[str]) -> str:
        if entry.id is not None:
            return nfc(entry.id.strip())
        name = nfc(entry.audio.strip()).replace("\\", "/")
        name = entry.prefix + name if not is_absolute(name) else nfc(found[0]) if len(found) == 1 else name
        name = posixpath.normpath(name)
        if self.index is not None:
            name = self.index.without_ending(name)
        name = name.lstrip("/") or entry.where
        if entry.start is None:
            return name
        return f"{name}-{_milliseconds(entry.start)}-{_milliseconds(entry.end)}"


def _refusal(path: str) -> str | None:
    """Return why the system lets nobody look at a path; None if it does, or there is nothing."""
    try:
        Path(path).stat()
    except PermissionError as error:
        return error.strerror
    except (OSError, ValueError):  # a name too long, or with a null byte
        pass
    return None


def _milliseconds(seconds: float | None) -> str:
    """Format seconds as eight digits of milliseconds, so that ids sort by time.

    No limit is `end`.
    """
    return "end" if seconds is None else f"{round(seconds * 1000):08d}"
