"""What a transcript states (`Entry`, `Malformed`), and what a corpus is.

Formats make entries; `pairing.py`, `embedded.py` and `huggingface.py` find their audio.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from pipeline.audio.source import AudioSource
from pipeline.utterance import Reason, Rejection, Utterance


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
    its own.
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
    scope: Scope = Scope.ANYWHERE


@dataclass(frozen=True, slots=True)
class Malformed:
    """An entry that cannot be read: its position, `file:line`, and why, as the end of a sentence."""

    where: str
    why: str

    def rejection(self) -> Rejection:
        """Return a Rejection whose id is the position: nothing better could be read."""
        return Rejection(self.where, "", Reason.MALFORMED_TRANSCRIPT, f"{self.where}: {self.why}")


class Corpus(Protocol):
    """Recordings with their texts, in one of the formats that `registry.py` lists."""

    @property
    def kind(self) -> str:
        """The form's name, as `--transcripts` takes it."""
        ...

    @property
    def source(self) -> AudioSource:
        """Opens what `Utterance.audio` names; can be pickled."""
        ...

    def utterances(self) -> Iterator[Utterance | Rejection]:
        """Stream every entry of the transcripts, in an order that depends on the files alone."""
        ...

    def audio_without_text(self) -> Iterable[str]:
        """Return locators that no entry named; complete once `utterances()` is exhausted."""
        ...


def is_writable(*texts: str | None) -> bool:
    """Return whether all strings are valid Unicode.

    JSON can hold half a surrogate pair, which no output can.
    """
    try:
        for text in texts:
            if text is not None:
                text.encode()
    except UnicodeEncodeError:
        return False
    return True
