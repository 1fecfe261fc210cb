"""Makes a dataset from start to finish: plans, makes the missing shards, writes statistics and card.

Heavy imports wait until there is a shard to make: a finished dataset is reported without loading a model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.build.plan import PlanSummary, plan, read_excluded
from pipeline.config import Settings
from pipeline.corpus import Corpus, open_corpus
from pipeline.dataset import rows
from pipeline.dataset.folder import clean, mend, open_or_init, unfinished
from pipeline.dataset.manifest import Manifest, ShardPlan
from pipeline.dataset.reader import Dataset
from pipeline.dataset.single_file import dataset_folder
from pipeline.dataset.stats import in_words
from pipeline.dataset.summary import finish
from pipeline.errors import PipelineError, TooManyRejected
from pipeline.progress import Progress
from pipeline.storage.files import write_text

Say = Callable[[str], None]
UNUSED = "audio_without_text.txt"  # below manifest/: audio files that no transcript names, one a line


@dataclass
class Planned:
    """A planned dataset, ready to be made."""

    dataset: Dataset
    corpus: Corpus
    manifest: Manifest
    summary: PlanSummary


def make_plan(root: Path, settings: Settings, say: Say, *, retry_rejected: bool = False) -> Planned:
    """Bring the plan in `root` up to date with the corpus; the caller holds `root`."""
    corpus = open_corpus(settings.corpus)
    dataset = open_or_init(root, settings)
    clean(root)
    with Progress("planning", None, unit="utterance") as progress:
        manifest, summary = plan(
            corpus,
            root / "manifest",
            limits=settings.limits,
            shard_size=settings.output.shard_size,
            max_samples=settings.corpus.max_samples,
            excluded=read_excluded(settings.corpus.exclude),
            retry_rejected=retry_rejected,
            progress=progress.counted,
        )
    mend(dataset, manifest, say)
    unused = sorted(corpus.audio_without_text()) if settings.corpus.max_samples is None else []
    write_text(root / "manifest" / UNUSED, "".join(f"{name}\n" for name in unused))
    say(_planned(corpus.kind, summary, len(unused), root))
    return Planned(dataset, corpus, manifest, summary)


def read_plan(root: Path, settings: Settings) -> Planned:
    """Return the plan in `root` as it is. Raises UsageError if it was made with other settings."""
    corpus = open_corpus(settings.corpus)
    dataset, manifest = open_or_init(root, settings), Manifest(root / "manifest")
    return Planned(dataset, corpus, manifest, PlanSummary(manifest.rows))


def _planned(kind: str, summary: PlanSummary, unused: int, root: Path) -> str:
    parts = [f"{summary.utterances:,} utterances ({kind})"]
    if summary.new != summary.utterances:
        parts.append(f"{summary.new:,} new, {summary.changed:,} changed")
    if summary.vanished:
        parts.append(f"{summary.vanished:,} that the corpus no longer names (their rows stay)")
    if summary.reasons:
        parts.append(f"rejected: {in_words(summary.reasons)}")
    if unused:
        parts.append(f"{unused:,} audio files without text, listed in {root / 'manifest' / UNUSED}")
    return "plan: " + "; ".join(parts)


def create(output: Path, settings: Settings, say: Say, *, retry_rejected: bool = False) -> Dataset:
    """Make or finish the dataset of `output`, a folder or a `NAME.jsonl`; the caller holds its folder.

    Raises TooManyRejected if the finished dataset lacks a larger share than `limits.max_reject_rate`.
    """
    root = dataset_folder(output)
    planned = make_plan(root, settings, say, retry_rejected=retry_rejected)
    todo = unfinished(planned.dataset, planned.manifest, retry_rejected=retry_rejected)
    if todo:
        make(planned, todo, settings, say)
        clean(root)  # what workers that were lost left
        if left := unfinished(planned.dataset, planned.manifest):
            # A worker presumed dead may have restarted this shard and removed its state.
            raise PipelineError(
                f"shard {left[0].shard} was taken back while it was made: run the same command again"
            )
    made = finish(planned.dataset, output)
    if not todo:
        say("finished before: " + (f"made {' and '.join(made)} again" if made else "nothing to do"))
    check_reject_rate(planned.dataset, settings)
    return planned.dataset


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


def make(planned: Planned, todo: list[ShardPlan], settings: Settings, say: Say) -> None:
    """Make the shards `todo` with the engine that the settings name."""
    from pipeline import codec
    from pipeline.build.engines import Job, engine

    done = planned.dataset.states()
    if done:
        say(f"going on: {len(done)} of {len(planned.manifest.shards)} shards were done before")
    job = Job(
        todo=todo,
        dataset=planned.dataset,
        source=planned.corpus.source,
        settings=settings,
        columns=done[0].columns if done else _columns(planned.manifest),
        made_with=done[0].codec["fingerprint"] if done else None,
        load_codec=partial(codec.load_codec, decoder=False),
    )
    with Progress("encoding", sum(shard.rows for shard in todo)) as progress:
        engine(settings.run.engine)(job, progress, say)
    planned.dataset.reread(shard.shard for shard in todo)


def _columns(manifest: Manifest) -> list[str]:
    """Return the columns of the first shard, and so of all that follow: those that the corpus fills."""
    missing = manifest.columns_without_values(rows.OPTIONAL)
    return [name for name in rows.SCHEMA.names if name not in missing]
