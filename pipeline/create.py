"""A dataset from start to finish: plan, make the missing shards, close with statistics and card.

Heavy imports wait until there is a shard to make: a finished dataset is reported without loading a model.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import rows
from pipeline.config import Settings
from pipeline.corpus import open_corpus
from pipeline.errors import TooManyRejected, UsageError
from pipeline.files import write_text
from pipeline.manifest import Manifest, ShardPlan
from pipeline.output import clean, settle, unfinished
from pipeline.plan import Corpus, PlanSummary, plan, read_excluded
from pipeline.progress import Progress
from pipeline.publish.card import write_card
from pipeline.shards import Dataset, State
from pipeline.stats import totals

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
    dataset = settle(root, settings)
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
    unused = sorted(corpus.audio_without_text()) if settings.corpus.max_samples is None else []
    write_text(root / "manifest" / UNUSED, "".join(f"{name}\n" for name in unused))
    say(_planned(corpus.kind, summary, len(unused), root))
    return Planned(dataset, corpus, manifest, summary)


def _planned(kind: str, summary: PlanSummary, unused: int, root: Path) -> str:
    parts = [f"{summary.utterances:,} utterances ({kind})"]
    if summary.new != summary.utterances:
        parts.append(f"{summary.new:,} new, {summary.changed:,} changed")
    if summary.vanished:
        parts.append(f"{summary.vanished:,} that the corpus no longer names (their rows stay)")
    if summary.reasons:
        parts.append(f"rejected: {_reasons(summary.reasons)}")
    if unused:
        parts.append(f"{unused:,} audio files without text, listed in {root / 'manifest' / UNUSED}")
    return "plan: " + "; ".join(parts)


def create(root: Path, settings: Settings, say: Say, *, retry_rejected: bool = False) -> dict[str, Any]:
    """Make or finish the dataset in `root`, which the caller holds. Returns what `stats.json` says.

    TooManyRejected when the finished dataset lacks a larger share than `limits.max_reject_rate`.
    """
    planned = make_plan(root, settings, say, retry_rejected=retry_rejected)
    todo = unfinished(planned.dataset, planned.manifest, retry_rejected=retry_rejected)
    if todo:
        _make(planned, todo, settings, say)
    elif (root / "stats.json").exists():
        say("finished before: nothing to do")
        return _checked(json.loads((root / "stats.json").read_text()), settings)
    stats = totals(planned.dataset.states())
    write_card(planned.dataset, stats)
    write_text(root / "stats.json", json.dumps(stats, indent=1, ensure_ascii=False) + "\n")
    return _checked(stats, settings)


def _make(planned: Planned, todo: list[ShardPlan], settings: Settings, say: Say) -> None:
    from pipeline.codec.protocol import open_codec
    from pipeline.run import encode_shards

    done = planned.dataset.states()
    if done:
        say(f"going on: {len(done)} of {len(planned.manifest.shards)} shards were done before")
    codec = open_codec(settings.codec, decoder=False)
    _same_weights(done, codec.fingerprint, planned.dataset.root)
    say(f"codec: {codec.name}, {codec.codebook_size:,} codes, licence {codec.licence}")
    with Progress("encoding", sum(shard.rows for shard in todo)) as progress:
        for _ in encode_shards(
            todo,
            dataset=planned.dataset,
            source=planned.corpus.source,
            codec=codec,
            settings=settings,
            columns=_columns(planned),
            watcher=progress,
        ):
            pass


def _same_weights(done: list[State], fingerprint: str, root: Path) -> None:
    if done and done[0].codec["fingerprint"] != fingerprint:
        raise UsageError(
            f"the codec's weights are not those that made the shards in {root} "
            f"({fingerprint[:12]} now, {done[0].codec['fingerprint'][:12]} then): give another output folder"
        )


def _columns(planned: Planned) -> list[str]:
    """Columns of every shard: those of the shards there, else what the corpus has."""
    done = planned.dataset.states()
    if done:
        return done[0].columns
    missing = planned.manifest.columns_without_values(rows.OPTIONAL)
    return [name for name in rows.SCHEMA.names if name not in missing]


def _checked(stats: dict[str, Any], settings: Settings) -> dict[str, Any]:
    rate = stats["rejected"] / max(stats["utterances"], 1)
    if rate > settings.limits.max_reject_rate:
        allowed = settings.limits.max_reject_rate
        raise TooManyRejected(
            f"{rate:.1%} of the utterances were rejected, limits.max_reject_rate is {allowed:.1%} "
            f"({_reasons(stats['reasons'])}); the dataset is complete but for them"
        )
    return stats


def _reasons(reasons: dict[str, int]) -> str:
    return ", ".join(
        f"{number:,} {reason}" for reason, number in sorted(reasons.items(), key=lambda item: -item[1])
    )
