"""Examines utterances: checks their texts, then their files' headers, and makes their manifest rows.

Nothing is decoded here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipeline.audio.decode import AudioError
from pipeline.audio.headers import Prober, Recording, Version
from pipeline.audio.source import AudioSource
from pipeline.config import LimitSettings
from pipeline.corpus.entry import is_printable, printable
from pipeline.dataset.manifest import ManifestRow
from pipeline.errors import of_the_machine
from pipeline.utterance import Reason, Rejection, Utterance

LATEST = 2**63 - 1  # ns since 1970; the manifest's column, and the year 2262
Entry = Utterance | Rejection


@dataclass(frozen=True)
class Examiner:
    """Makes an entry's row: checks its text, then its file's header, unless the known row still holds."""

    limits: LimitSettings
    prober: Prober
    excluded: frozenset[str]
    retry_rejected: bool

    def __call__(self, entry: Entry, old: ManifestRow | None, first_of_id: bool) -> ManifestRow:
        """Return the entry's row: `old` itself if nothing in it is different."""
        if isinstance(entry, Rejection):
            unread = Utterance(entry.id, entry.audio, None)  # type: ignore[arg-type]
            row = ManifestRow(unread, reason=entry.reason, detail=entry.detail)
        elif refusal := self._refusal(entry, first_of_id):
            row = ManifestRow(entry, reason=refusal[0], detail=refusal[1])
        else:
            row = self._looked_up(entry, old)
        return old if old is not None and old == row else row

    def _looked_up(self, entry: Utterance, old: ManifestRow | None) -> ManifestRow:
        try:
            recording = self.prober(entry)
        except OSError as error:
            if of_the_machine(error):
                raise
            detail = f"{entry.audio}: {error.strerror or error}"
            return ManifestRow(entry, reason=Reason.MISSING_AUDIO, detail=detail)
        except AudioError as error:
            return ManifestRow(entry, reason=error.reason, detail=error.detail)
        size, mtime_ns = _in_columns(recording.version)
        # A row that was refused before its file was looked at has no size, and so is never the same.
        same = old is not None and (old.utterance, old.size, old.mtime_ns) == (entry, size, mtime_ns)
        if same and not (self.retry_rejected and old.reason):  # type: ignore[union-attr]
            return old  # type: ignore[return-value]
        return self._probed(ManifestRow(entry, size, mtime_ns), recording)

    def _refusal(self, entry: Utterance, first_of_id: bool) -> tuple[Reason, str] | None:
        length = len(entry.text.strip())
        if entry.id in self.excluded:
            return Reason.EXCLUDED, f"{entry.id} is named by --exclude"
        if not first_of_id:
            return Reason.DUPLICATE_ID, f"an earlier utterance has the id {entry.id} too"
        if length == 0:
            return Reason.EMPTY_TEXT, f"{entry.id} has no text"
        if length < self.limits.min_chars:
            return Reason.TEXT_TOO_SHORT, f"{length} characters, limits.min_chars is {self.limits.min_chars}"
        if length > self.limits.max_chars:
            return Reason.TEXT_TOO_LONG, f"{length} characters, limits.max_chars is {self.limits.max_chars}"
        return None

    def _probed(self, row: ManifestRow, recording: Recording) -> ManifestRow:
        entry = row.utterance
        try:
            found = recording.header()
        except AudioError as error:
            return replace(row, reason=error.reason, detail=error.detail)
        end = found.duration if entry.end is None else min(entry.end, found.duration)
        seconds = round(end - (entry.start or 0.0), 6)
        row = replace(row, duration=seconds, sample_rate=found.sample_rate)
        if seconds < self.limits.min_seconds:
            detail = f"{seconds:.3f} s, limits.min_seconds is {self.limits.min_seconds:g}"
            return replace(row, reason=Reason.TOO_SHORT, detail=detail)
        if seconds > self.limits.max_seconds:
            detail = f"{seconds:.1f} s, limits.max_seconds is {self.limits.max_seconds:g}"
            return replace(row, reason=Reason.TOO_LONG, detail=detail)
        return row


def in_unicode(entry: Entry) -> Entry:
    """Return `entry`, or a rejection in its place if a name or text is no Unicode: no file can hold that."""
    stated = (entry.detail,) if isinstance(entry, Rejection) else (entry.text, entry.speaker, entry.language)
    if is_printable("".join(filter(None, (entry.id, entry.audio, *stated)))):
        return entry
    id, audio = printable(entry.id), printable(entry.audio)
    if isinstance(entry, Rejection):
        return Rejection(id, audio, entry.reason, printable(entry.detail))
    return Rejection(id, audio, Reason.MALFORMED_TRANSCRIPT, f"{id}: a name or its text is not valid Unicode")


def version_of(source: AudioSource, locator: str) -> Version:
    """Return size and time of a file as a manifest row has them. Raises as `AudioSource.stat` does."""
    return _in_columns(source.stat(locator))


def _in_columns(version: Version) -> Version:
    size, mtime_ns = version
    return size, min(mtime_ns, LATEST)


def is_as_planned(source: AudioSource, rows: list[ManifestRow]) -> bool:
    """Return whether the files of rows that go to the codec are those that were planned."""
    try:
        return all(
            version_of(source, row.utterance.audio) == (row.size, row.mtime_ns)
            for row in rows
            if row.reason is None
        )
    except (OSError, AudioError):
        return False
