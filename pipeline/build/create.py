"""Makes a dataset from start to finish: plans, makes the missing shards, writes statistics and card.

Shards are made while planning goes on. Heavy imports wait until there is a shard to make: a finished dataset
is reported without loading a model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.audio.source import AudioSource
from pipeline.build.examine import is_as_planned
from pipeline.build.feed import Planner, ShardFeed
from pipeline.build.plan import Planning, PlanSummary, read_excluded
from pipeline.build.planning_pool import PlanningPool
from pipeline.config import Settings
from pipeline.corpus import Corpus, open_corpus
from pipeline.dataset.columns import columns_now, settle_columns
from pipeline.dataset.folder import clean, mend, open_or_init, remove_strays, unfinished, unfinished_among
from pipeline.dataset.manifest import Manifest, ShardPlan
from pipeline.dataset.mark import is_growing, read_mark
from pipeline.dataset.reader import Dataset
from pipeline.dataset.single_file import dataset_folder
from pipeline.dataset.stats import in_words
from pipeline.dataset.summary import finish
from pipeline.errors import PipelineError, TooManyRejected
from pipeline.progress import Progress, plural
from pipeline.storage.files import write_lines

Say = Callable[[str], None]
UNUSED = "audio_without_text.txt"  # below manifest/: audio files that no transcript names, one a line
WAIT = 0.5  # seconds between looks at planning while there is no shard
LONG = 10.0  # seconds; how long the form of a corpus is looked for is told from then on
GRACE = 1.0  # seconds that a short corpus has to be planned whole before encoding begins


@dataclass
class Planned:
    """A dataset whose shards are being planned."""

    dataset: Dataset
    corpus: Corpus
    planning: Planning
    say: Say

    @property
    def manifest(self) -> Manifest:
        """The manifest as far as it has been brought up to date."""
        return self.planning.manifest

    def shards(
        self, progress: Callable[[int], object], wanted: Callable[[ShardPlan], bool]
    ) -> Iterator[list[ShardPlan]]:
        """Plan, and yield all shards of the dataset that are `wanted` as soon as they may be made.

        Those planned before come first, if their files are still as planned: to compare a whole corpus with
        its plan may take hours.
        """
        released = set[int]()
        for shard in self._planned_before():
            if wanted(shard) and is_as_planned(self.corpus.source, shard.rows_read()):
                released.add(shard.shard)
                yield [shard]
        for shards in self.planning.chunks(progress):
            released.update(shard.shard for shard in shards)
            yield list(filter(wanted, shards))
        manifest = self.manifest
        if read_mark(self.planning.folder) is not None:
            remove_strays(self.dataset, manifest)
        whole = self.planning.max_samples is None
        unused = self.corpus.audio_without_text() if whole else ()
        write_lines(self.planning.folder / UNUSED, unused)
        self.say(_planned(self.corpus.kind, self.planning.summary, len(unused), self.dataset.root))
        yield [shard for shard in manifest.shards if shard.shard not in released and wanted(shard)]

    def _planned_before(self) -> list[ShardPlan]:
        mark = read_mark(self.planning.folder)
        unsure = self.planning.retry_rejected or (mark is not None and mark.kept is not None)
        return [] if unsure else self.manifest.shards


def open_planned(
    root: Path,
    settings: Settings,
    say: Say,
    *,
    retry_rejected: bool = False,
    planner: str | None = None,
    alone: bool = True,
) -> Planned:
    """Open the dataset in `root`, which the caller holds, to plan it.

    `planner`: see `Planning`. What a killed run left is cleared away if this process is `alone` at work.
    Raises UsageError if the dataset was made with other settings, or there is no corpus.
    """
    started = time.monotonic()
    corpus = open_corpus(settings.corpus)
    if settings.corpus.transcripts == "auto" and (took := time.monotonic() - started) > LONG:
        say(f"to find the form of the corpus took {took:.0f} s; --transcripts {corpus.kind} spares that")
    dataset = open_or_init(root, settings)
    if alone:
        clean(root)
        mend(dataset, say)
    done = dataset.states()
    planning = Planning(
        corpus,
        root / "manifest",
        limits=settings.limits,
        shard_size=settings.output.shard_size,
        max_samples=settings.corpus.max_samples,
        excluded=read_excluded(settings.corpus.exclude),
        retry_rejected=retry_rejected,
        columns=done[0].columns if done else None,
        planner=planner,
    )
    return Planned(dataset, corpus, planning, say)


def make_plan(root: Path, settings: Settings, say: Say, *, retry_rejected: bool = False) -> Planned:
    """Bring the plan in `root` up to date with the whole corpus; the caller holds `root`."""
    planned = open_planned(root, settings, say, retry_rejected=retry_rejected)
    with Progress("planning", None, unit="utterance") as progress:
        for _ in planned.shards(progress.counted, lambda shard: False):
            pass
    return planned


def _planned(kind: str, summary: PlanSummary, unused: int, root: Path) -> str:
    parts = [f"{plural(summary.utterances, 'utterance')} ({kind})"]
    if summary.new != summary.utterances:
        parts.append(f"{summary.new:,} new, {summary.changed:,} changed")
    if summary.vanished:
        parts.append(f"{summary.vanished:,} that the corpus no longer names (their rows stay)")
    if summary.reasons:
        parts.append(f"rejected: {in_words(summary.reasons)}")
    if unused:
        parts.append(f"{plural(unused, 'audio file')} without text, listed in {root / 'manifest' / UNUSED}")
    return "plan: " + "; ".join(parts)


def create(output: Path, settings: Settings, say: Say, *, retry_rejected: bool = False) -> Dataset:
    """Make or finish the dataset of `output`, a folder or a `NAME.jsonl`; the caller holds its folder."""
    root = dataset_folder(output)
    planned = open_planned(root, settings, say, retry_rejected=retry_rejected)
    dataset, source = planned.dataset, planned.corpus.source
    todo = unfinished_among(dataset, retry_rejected=retry_rejected)
    pool = planned.planning.pool
    some = make(dataset, source, lambda progress: planned.shards(progress, todo), settings, say, pool)
    if some and (left := unfinished(dataset, planned.manifest)):  # files that changed since they were planned
        make(dataset, source, lambda progress: iter([left]), settings, say)
    if some:
        clean(root)  # what workers that were lost left
    if left := unfinished(dataset, planned.manifest):
        # A worker presumed dead may have restarted this shard and removed its state.
        raise PipelineError(
            f"shard {left[0].shard} was taken back while it was made: run the same command again"
        )
    made = close(dataset, output)
    if not some:
        say("finished before: " + (f"made {' and '.join(made)} again" if made else "nothing to do"))
    return dataset


def close(dataset: Dataset, output: Path) -> list[str]:
    """Close a dataset of which every shard is done; return the names of what was made for that."""
    settle_columns(dataset)
    return finish(dataset, output)


def check_reject_rate(dataset: Dataset, settings: Settings) -> None:
    """Raise TooManyRejected if a finished dataset lacks more than `limits.max_reject_rate` allows."""
    stats = dataset.stats()
    rate = stats["rejected"] / max(stats["utterances"], 1)
    if rate > settings.limits.max_reject_rate:
        raise TooManyRejected(
            f"{rate:.1%} of the utterances were rejected, limits.max_reject_rate is "
            f"{settings.limits.max_reject_rate:.1%} ({in_words(stats['reasons'])}); the dataset is complete "
            "but for them"
        )


def make(
    dataset: Dataset,
    source: AudioSource,
    planner: Planner,
    settings: Settings,
    say: Say,
    pool: PlanningPool | None = None,
) -> list[int]:
    """Make the shards that `planner` yields, with the engine that the settings name; return their numbers.

    Nothing heavy is loaded before there is one. The engine may add helpers to the planner's `pool`.
    """
    with ShardFeed(planner, pool) as feed:
        with Progress("planning", None, unit="utterance") as progress:
            while not (feed.wait(WAIT) or feed.rows):
                progress.counted(feed.examined - progress.done)
            progress.counted(feed.examined - progress.done)
        feed.wait(GRACE, whole=True)
        if feed.rows:
            _make_fed(dataset, source, feed, settings, say)
        feed.wait(whole=True)
        dataset.reread(feed.numbers)
        return feed.numbers


def _make_fed(dataset: Dataset, source: AudioSource, feed: ShardFeed, settings: Settings, say: Say) -> None:
    from pipeline import codec
    from pipeline.build.engines import Job, engine

    done, manifest = dataset.states(), Manifest(dataset.root / "manifest")
    growing = is_growing(manifest.folder)
    if done:
        total = f"{'at least ' if growing else ''}{plural(len(manifest.shards), 'shard')}"
        say(f"going on: {len(done)} of {total} done before")
    job = Job(
        dataset=dataset,
        source=source,
        settings=settings,
        columns=columns_now(dataset, manifest),
        made_with=done[0].codec["fingerprint"] if done else None,
        load_codec=partial(codec.load_codec, decoder=False),
    )
    with Progress("encoding", feed.rows) as progress:
        engine(settings.run.engine)(job, feed, _FedProgress(feed, progress), say)


@dataclass
class _FedProgress:
    """A `Watcher` that tells its progress of the total as that becomes known."""

    feed: ShardFeed
    progress: Progress

    def advanced(self, clips: int, rejected: int, seconds: float) -> None:
        """See `Watcher.advanced`."""
        self.progress.expect(self.feed.rows, whole=self.feed.ended)
        self.progress.advanced(clips, rejected, seconds)
