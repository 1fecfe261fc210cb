"""Plans a dataset: lists what the corpus holds, checked by its headers, as manifest rows.

Planning again compares the corpus with the manifest: unchanged utterances cost one `stat`, changed ones are
probed again and their rows replaced (so their shards are redone), new ones go into a new chunk. Nothing is
decoded here.
"""

from __future__ import annotations

import errno
import itertools
import json
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from pipeline.audio.decode import AudioError
from pipeline.audio.headers import Prober
from pipeline.audio.source import AudioSource
from pipeline.config import LimitSettings
from pipeline.corpus import Corpus
from pipeline.corpus.entry import printable
from pipeline.dataset.manifest import Manifest, ManifestRow
from pipeline.errors import UsageError
from pipeline.utterance import Reason, Rejection, Utterance

THREADS = 8  # probing waits for the disk, and the header readers let go of the interpreter
CHUNK = 64  # utterances a task
AHEAD = 4 * THREADS  # tasks under way: bounds memory
REFUSED = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE)  # by the machine
LATEST = 2**63 - 1  # ns since 1970; the manifest's column, and the year 2262
Entry = Utterance | Rejection
Task = tuple[Entry, tuple[int, ManifestRow] | None, bool]  # its known row and number; first of its id?
Examined = tuple[int | None, ManifestRow | None, ManifestRow]  # known row's number, known row, row now
T = TypeVar("T")


@dataclass
class PlanSummary:
    """What planning found."""

    utterances: int = 0  # rows of the manifest
    new: int = 0
    changed: int = 0
    vanished: int = 0  # rows whose utterance the corpus no longer names; they stay
    reasons: Counter[str] = field(default_factory=Counter)  # rejections of new and changed rows


def plan(
    corpus: Corpus,
    folder: Path,
    *,
    limits: LimitSettings,
    shard_size: int,
    max_samples: int | None = None,
    excluded: Collection[str] = (),
    retry_rejected: bool = False,
    progress: Callable[[int], object] = lambda count: None,
) -> tuple[Manifest, PlanSummary]:
    """Bring the manifest in `folder` up to date with the corpus.

    With `retry_rejected`, files that were refused by their header are probed again. `progress` is called
    with the number of utterances just examined. Raises UsageError if the corpus is empty.
    """
    manifest = Manifest(folder)
    known = _KnownRows(manifest)
    summary = PlanSummary()
    examine = _Examiner(corpus.source, limits, Prober(corpus.source), frozenset(excluded), retry_rejected)
    entries = map(_in_unicode, itertools.islice(corpus.utterances(), max_samples))
    numbered = ((entry, known.match(entry.id), first) for entry, first in _first_of_id(entries))
    changes: dict[int, ManifestRow] = {}

    def new_rows() -> Iterator[ManifestRow]:
        for number, old, row in _in_parallel(examine, numbered, progress):
            if row is old:
                continue
            if row.reason:
                summary.reasons[row.reason] += 1
            if number is None:
                summary.new += 1
                yield row
            else:
                changes[number] = row
        if manifest.rows and not known.matched:
            raise UsageError(
                f"{folder.parent} was made from another corpus (it has none of these ids): "
                "give another output folder"
            )

    manifest.append(_batched(new_rows(), shard_size))
    if changes:
        manifest.replace_rows(changes)
    updated = Manifest(folder)
    if updated.rows == 0:
        raise UsageError(
            "the corpus names no utterances: check the transcripts, or give their form with --transcripts"
        )
    summary.utterances = updated.rows
    summary.changed = len(changes)
    summary.vanished = manifest.rows - known.matched
    return updated, summary


def read_excluded(path: str | None) -> frozenset[str]:
    """Read the ids of a JSONL file of objects with an `id`, such as validation's list of suspect rows."""
    if path is None:
        return frozenset()
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            return frozenset(json.loads(line)["id"] for line in file if line.strip())
    except OSError as error:
        raise UsageError(f"cannot read --exclude {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"--exclude {path}: expected one JSON object with an `id` a line") from error


def _in_unicode(entry: Entry) -> Entry:
    """Return `entry`, or a rejection in its place if a name or text is no Unicode: no file can hold that."""
    stated = (entry.detail,) if isinstance(entry, Rejection) else (entry.text, entry.speaker, entry.language)
    words = "".join(filter(None, (entry.id, entry.audio, *stated)))
    if words.isascii() or printable(words) == words:
        return entry
    id, audio = printable(entry.id), printable(entry.audio)
    if isinstance(entry, Rejection):
        return Rejection(id, audio, entry.reason, printable(entry.detail))
    return Rejection(id, audio, Reason.MALFORMED_TRANSCRIPT, f"{id}: a name or its text is not valid Unicode")


class _KnownRows:
    """Finds an entry's row in an earlier plan: at once while the corpus keeps its order, else by an index."""

    def __init__(self, manifest: Manifest) -> None:
        self._rows = enumerate(manifest.read_rows())
        self._by_id: defaultdict[str, deque[tuple[int, ManifestRow]]] | None = None
        self.matched = 0

    def match(self, id: str) -> tuple[int, ManifestRow] | None:
        """Return the next row not matched yet that has this id."""
        found = self._find(id)
        self.matched += found is not None
        return found

    def _find(self, id: str) -> tuple[int, ManifestRow] | None:
        if self._by_id is None:
            expected = next(self._rows, None)
            if expected is None or expected[1].utterance.id == id:
                return expected
            self._by_id = defaultdict(deque)
            for number, row in itertools.chain([expected], self._rows):
                self._by_id[row.utterance.id].append((number, row))
        waiting = self._by_id.get(id)
        return waiting.popleft() if waiting else None


def _first_of_id(entries: Iterable[Entry]) -> Iterator[tuple[Entry, bool]]:
    seen: set[str] = set()
    for entry in entries:
        yield entry, entry.id not in seen
        seen.add(entry.id)


@dataclass(frozen=True)
class _Examiner:
    """Makes an entry's row: checks its text, then its file's header, unless the known row still holds."""

    source: AudioSource
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
            size, mtime_ns = self.source.stat(entry.audio)
            mtime_ns = min(mtime_ns, LATEST)
        except OSError as error:
            if error.errno in REFUSED:
                raise
            detail = f"{entry.audio}: {error.strerror or error}"
            return ManifestRow(entry, reason=Reason.MISSING_AUDIO, detail=detail)
        except AudioError as error:
            return ManifestRow(entry, reason=error.reason, detail=error.detail)
        # A row that was refused before its file was looked at has no size, and so is never the same.
        same = old is not None and (old.utterance, old.size, old.mtime_ns) == (entry, size, mtime_ns)
        if same and not (self.retry_rejected and old.reason):  # type: ignore[union-attr]
            return old  # type: ignore[return-value]
        return self._probed(entry, size, mtime_ns)

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

    def _probed(self, entry: Utterance, size: int, mtime_ns: int) -> ManifestRow:
        row = ManifestRow(entry, size, mtime_ns)
        try:
            found = self.prober(entry, size, mtime_ns)
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


def _in_parallel(
    examine: _Examiner, tasks: Iterable[Task], progress: Callable[[int], object]
) -> Iterator[Examined]:
    """Examine entries in threads; the results come in the entries' order."""

    def work(chunk: list[Task]) -> list[Examined]:
        return [_examined(examine, task) for task in chunk]

    under_way: deque[Future[list[Examined]]] = deque()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="probe") as pool:
        for chunk in itertools.chain(_batched(tasks, CHUNK), itertools.repeat(None, AHEAD)):
            if chunk is not None:
                under_way.append(pool.submit(work, chunk))
            if under_way and (chunk is None or len(under_way) >= AHEAD):
                done = under_way.popleft().result()
                progress(len(done))
                yield from done


def _examined(examine: _Examiner, task: Task) -> Examined:
    entry, known, first_of_id = task
    number, old = known or (None, None)
    return number, old, examine(entry, old, first_of_id)


def _batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
