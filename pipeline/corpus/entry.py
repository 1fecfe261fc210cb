"""What a transcript states: entries (`Entry`), entries that cannot be read, audio without a text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pipeline.utterance import Reason, Rejection


class Scope(Enum):
    """Which files an entry's name may mean."""

    ANYWHERE = "anywhere"  # any below the root whose folders fit
    BELOW = "below"  # only those below `near`: names repeat elsewhere
    EXACT = "exact"  # only the one at this path from the root


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a transcript, before its audio is looked for.

    `where` is its position, `file:line`. `audio` is a name, path or id as the transcript has it; `near`
    is the transcript's folder as `AudioIndex.near` gives it. `id` is None if the transcript has none of
    its own; `prefix` goes before the id that its audio's name gives it then.
    """

    where: str
    audio: str
    text: str
    id: str | None = None
    speaker: str | None = None
    language: str | None = None
    start: float | None = None  # seconds
    end: float | None = None  # seconds
    near: str | None = None
    leaves: bool = False  # the format calls for paths out of the corpus
    scope: Scope = Scope.ANYWHERE
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Malformed:
    """An entry that cannot be read: its position, `file:line`, and why, as the end of a sentence.

    Its id is the position, where nothing better could be read.
    """

    where: str
    why: str
    id: str | None = None
    audio: str = ""

    def rejection(self) -> Rejection:
        """Return it as a Rejection. Bytes of its file's name that are no character are escaped."""
        name, audio = printable(self.id or self.where), printable(self.audio)
        detail = printable(f"{self.where}: {self.why}")
        return Rejection(name, audio, Reason.MALFORMED_TRANSCRIPT, detail)


@dataclass(frozen=True, slots=True)
class Textless:
    """Audio that was met without a text, by its locator."""

    audio: str


def printable(text: str) -> str:
    """Return `text` with halves of surrogate pairs escaped: JSON and names of files can hold some."""
    return text.encode("utf-8", "backslashreplace").decode()


def is_printable(text: str) -> bool:
    """Return whether `printable` leaves `text` as it is."""
    return text.isascii() or printable(text) == text


Item = Entry | Malformed | Textless  # what a format's reader yields
