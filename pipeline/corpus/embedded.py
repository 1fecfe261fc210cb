"""A corpus whose files hold texts and audio together: tar shards, Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from pipeline.audio.source import AudioSource
from pipeline.corpus.audio_index import nfc
from pipeline.corpus.entry import Entry, Malformed, is_writable
from pipeline.corpus.fields import Fields
from pipeline.utterance import Reason, Rejection, Utterance

HERE = "audio in this file"  # name of the field that an entry's locator goes by
NO_TIMES = {"start": None, "end": None, "offset": None, "duration": None}


@dataclass
class EmbeddedCorpus:
    """Entries whose `audio` is a locator of `source` already. See `entry.Corpus`.

    An entry without audio has an empty locator. `unnamed` lists audio that was met without a text.
    """

    kind: str
    source: AudioSource
    entries: Callable[[list[str]], Iterator[Entry | Malformed]]  # given the list to note such audio in
    language: str | None = None  # of entries that name none

    def __post_init__(self) -> None:
        self._unnamed: list[str] = []

    def utterances(self) -> Iterator[Utterance | Rejection]:
        """See `entry.Corpus.utterances`."""
        self._unnamed.clear()
        for entry in self.entries(self._unnamed):
            yield entry.rejection() if isinstance(entry, Malformed) else self._utterance(entry)

    def audio_without_text(self) -> Iterable[str]:
        """See `entry.Corpus.audio_without_text`."""
        return self._unnamed

    def _utterance(self, entry: Entry) -> Utterance | Rejection:
        if not is_writable(entry.id, entry.audio, entry.text, entry.speaker, entry.language):
            return Malformed(entry.where, "holds half a surrogate pair, which is not a character").rejection()
        name = nfc((entry.id or entry.where).strip())
        if not entry.audio:
            return Rejection(name, "", Reason.MISSING_AUDIO, f"{entry.where}: there is no audio for it")
        language = entry.language or self.language
        return Utterance(name, entry.audio, entry.text.strip(), entry.speaker, language)


def whole(fields: Fields) -> Fields:
    """Return `fields` for rows whose locator, under `HERE`, is also their id if they have none.

    Times are left out: such audio is cut already, and they tell where it came from.
    """
    return replace(fields, **{**NO_TIMES, "audio": HERE, "id": fields.id or HERE})
