"""A corpus whose audio lies in a folder: pairs transcript entries with files.

The rule of ids: an id is made of the entry alone, never of what other entries or files there are. So it
stays when the corpus grows, and a run that goes on finds its rows again.
- An entry with an id of its own keeps it.
- Otherwise the id is the audio's name as the transcript gives it, without ending: `LJ001-0001`, or `b/001`
  where the transcript writes folders. An absolute path counts from the audio folder.
- Transcripts spread over sub-folders give path-like ids (`jvs001/parallel100/VOICEACTRESS100_001`), since
  names repeat there: `per_folder.py`, `sidecar.py`.
- A part of a recording adds its times in milliseconds: `talk-00001230-00004560`.
Two entries that come to the same id are duplicates, which the planner rejects.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from pipeline.audio.source import AudioSource
from pipeline.corpus.audio_index import AudioIndex, is_absolute, nfc
from pipeline.corpus.entry import Entry, Malformed, is_writable
from pipeline.utterance import Reason, Rejection, Utterance

SHOWN = 3  # candidates that an ambiguous name's rejection lists


@dataclass
class FolderCorpus:
    """Entries of a reader, paired with the files of a folder. See `entry.Corpus`."""

    kind: str
    index: AudioIndex
    entries: Callable[[], Iterator[Entry | Malformed]]
    language: str | None = None  # of entries that name none
    _named: set[str] = field(default_factory=set, init=False, repr=False)

    @property
    def source(self) -> AudioSource:
        """Opens the locators of this corpus."""
        return self.index.source

    def utterances(self) -> Iterator[Utterance | Rejection]:
        """See `entry.Corpus.utterances`."""
        self._named.clear()
        for entry in self.entries():
            yield entry.rejection() if isinstance(entry, Malformed) else self._pair(entry)

    def audio_without_text(self) -> Iterable[str]:
        """See `entry.Corpus.audio_without_text`."""
        unnamed = (locator for locator in self.index.locators if locator not in self._named)
        return [*unnamed, *self.index.unnameable]

    def _pair(self, entry: Entry) -> Utterance | Rejection:
        if not is_writable(entry.id, entry.audio, entry.text, entry.speaker, entry.language):
            return Malformed(entry.where, "holds half a surrogate pair, which is not a character").rejection()
        found = self.index.find(entry.audio, entry.near, entry.scope)
        name = self._id(entry, found)
        if not found:
            detail = f"{entry.where}: no audio file fits {entry.audio!r} below {self.index.root}"
            return Rejection(name, entry.audio, Reason.MISSING_AUDIO, detail)
        self._named.update(found)
        if len(found) > 1:
            shown = ", ".join(found[:SHOWN]) + (", …" if len(found) > SHOWN else "")
            detail = f"{entry.where}: {entry.audio!r} fits {len(found)} files ({shown}); name the folder too"
            return Rejection(name, entry.audio, Reason.MALFORMED_TRANSCRIPT, detail)
        return Utterance(
            id=name,
            audio=found[0],
            text=entry.text.strip(),
            speaker=entry.speaker,
            language=entry.language or self.language,
            start=entry.start,
            end=entry.end,
        )

    def _id(self, entry: Entry, found: list[str]) -> str:
        if entry.id is not None:
            return nfc(entry.id.strip())
        name = nfc(entry.audio.strip()).replace("\\", "/")
        if is_absolute(name):
            name = nfc(found[0]) if len(found) == 1 else name
        name = self.index.without_ending(posixpath.normpath(name)).lstrip("/") or entry.where
        return (
            name if entry.start is None else f"{name}-{milliseconds(entry.start)}-{milliseconds(entry.end)}"
        )


def milliseconds(seconds: float | None) -> str:
    """Format seconds as eight digits of milliseconds, so that ids sort by time.

    No limit is `end`.
    """
    return "end" if seconds is None else f"{round(seconds * 1000):08d}"
