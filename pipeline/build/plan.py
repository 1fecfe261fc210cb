"""Plans a dataset: lists what the corpus holds, checked by its headers, as manifest rows.

Planning is a generator: it hands a chunk of the manifest's shards on as soon as that is durable, and goes on
with the corpus. Rows, shards and chunks are the same wherever it was interrupted in between.

Planning again compares the corpus with the manifest: unchanged utterances cost one `stat`, changed ones are
probed again and their rows replaced (so their shards are redone), new ones go into new chunks.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pipeline.audio.headers import Prober
from pipeline.build.examine import Examiner
from pipeline.build.known_rows import KnownRows
from pipeline.build.planning_pool import PlanningPool
from pipeline.build.planning_worker import Examined, Task
from pipeline.build.probing import examine_all
from pipeline.build.reading import read_entries
from pipeline.build.row_store import RowStore
from pipeline.build.seen_ids import SeenIds
from pipeline.config import LimitSettings
from pipeline.corpus import Corpus
from pipeline.dataset.manifest import Manifest, ManifestRow, ShardPlan
from pipeline.dataset.mark import PlanMark, read_mark, write_mark
from pipeline.errors import UsageError

T = TypeVar("T")


@dataclass
class PlanSummary:
    """What planning found."""

    utterances: int = 0  # rows of the manifest
    new: int = 0
    changed: int = 0
    vanished: int = 0  # rows whose utterance the corpus no longer names; they stay
    reasons: Counter[str] = field(default_factory=Counter)  # rejections of new and changed rows


@dataclass
class Planning:
    """A pass over the corpus that brings the manifest in `folder` up to date with it.

    With `retry_rejected`, files that were refused by their header are probed again. `columns` are those of
    a dataset's rows that were made before, which stay. `planner` names the lock of the part of a run that
    plans: others follow, so the mark of the pass is there from its beginning. `pool` helps with a long
    corpus.
    """

    corpus: Corpus
    folder: Path
    limits: LimitSettings
    shard_size: int
    max_samples: int | None = None
    excluded: Collection[str] = ()
    retry_rejected: bool = False
    columns: list[str] | None = None
    planner: str | None = None
    pool: PlanningPool = field(default_factory=PlanningPool)
    summary: PlanSummary = field(default_factory=PlanSummary)
    _begun: bool = False

    def __post_init__(self) -> None:
        """Look at what was planned before."""
        self._before = read_mark(self.folder)
        self.manifest = Manifest(self.folder)
        if self._before is not None and self._before.kept is not None:
            self.manifest.cut(self._before.kept)  # it was interrupted before it was sure of the corpus
        self._mark = self._first_mark()

    def begin(self) -> None:
        """Mark the manifest as one that grows: done before the first new row, or by the caller before."""
        if not self._begun:
            write_mark(self.folder, self._mark)
            self._begun = True

    def chunks(self, progress: Callable[[int], object] = lambda count: None) -> Iterator[list[ShardPlan]]:
        """Yield the shards of each new chunk of the manifest once they may be made.

        `progress` is called with the number of utterances just examined. Raises UsageError if the corpus is
        empty, or another one than that of the rows planned before.
        """
        manifest = self.manifest
        with closing(KnownRows(manifest)) as known, closing(RowStore()) as changes:
            rows_before, shards_before = manifest.rows, len(manifest.shards)
            held: list[ShardPlan] = []
            try:
                for shards in manifest.append(self._groups(known, changes, progress), stood=self._mark.stood):
                    held += shards
                    if self._mark.kept is not None and known.matched:
                        self._mark = replace(self._mark, kept=None)
                        write_mark(self.folder, self._mark)
                    if self._mark.kept is None:
                        yield held
                        held = []
                self._check(manifest, rows_before, known)
            except UsageError:
                if self._mark.kept is not None:
                    manifest.cut(shards_before)
                if self._begun and len(manifest.shards) == shards_before:
                    write_mark(self.folder, self._before)
                raise
            manifest.replace_rows(changes.between)
            self.summary.utterances = manifest.rows
            self.summary.changed = len(changes)
            self.summary.vanished = rows_before - known.matched
            interrupted = self._before is not None and not self._before.complete
            if interrupted or len(manifest.shards) > shards_before:
                write_mark(self.folder, replace(self._mark, kept=None, complete=True))
            elif self._begun:
                write_mark(self.folder, self._before)
        yield held

    def _first_mark(self) -> PlanMark:
        """Return the mark of this pass: of one that was interrupted, it goes on with the chunks of that."""
        before, shards = self._before, len(self.manifest.shards)
        mark = before if before is not None and not before.complete else PlanMark(stood=shards)
        return replace(
            mark,
            kept=shards if shards else None,
            columns=before.columns if before is not None else self.columns,
            planner=self.planner,
        )

    def _check(self, manifest: Manifest, rows_before: int, known: KnownRows) -> None:
        if rows_before and not known.matched:
            raise UsageError(
                f"{self.folder.parent} was made from another corpus (it has none of these ids): "
                "give another output folder"
            )
        if manifest.rows == 0:
            raise UsageError(
                "the corpus names no utterances: check the transcripts, or give their form with --transcripts"
            )

    def _groups(
        self, known: KnownRows, changes: RowStore, progress: Callable[[int], object]
    ) -> Iterator[list[ManifestRow]]:
        for rows in _batched(self._new_rows(known, changes, progress), self.shard_size):
            self.begin()
            yield rows

    def _new_rows(
        self, known: KnownRows, changes: RowStore, progress: Callable[[int], object]
    ) -> Iterator[ManifestRow]:
        prober, excluded = Prober(self.corpus.source), frozenset(self.excluded)
        examine = Examiner(self.limits, prober, excluded, self.retry_rejected)
        with self.pool.at_work(examine, self.corpus):
            read = read_entries(self.corpus, self.pool, lambda: known.all_matched)
            marked = SeenIds().mark(itertools.islice(read, self.max_samples), lambda found: found[0].id)
            tasks = (Task(entry, known.match(entry.id), first, row) for (entry, row), first in marked)
            yield from self._sorted_out(examine_all(examine, tasks, self.pool, progress), changes)

    def _sorted_out(self, examined: Iterable[Examined], changes: RowStore) -> Iterator[ManifestRow]:
        for number, row in examined:
            if row is None:
                continue
            if row.reason:
                self.summary.reasons[row.reason] += 1
            if number is None:
                self.summary.new += 1
                yield row
            else:
                changes.add(number, row)


def plan(
    corpus: Corpus,
    folder: Path,
    *,
    progress: Callable[[int], object] = lambda count: None,
    **options: Any,
) -> tuple[Manifest, PlanSummary]:
    """Plan the whole corpus; `options` are the fields of `Planning`. Raises as `Planning.chunks` does."""
    planning = Planning(corpus, folder, **options)
    for _ in planning.chunks(progress):
        pass
    return planning.manifest, planning.summary


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


def _batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
