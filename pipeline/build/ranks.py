"""Shares one run out to processes that have only the output folder in common: Slurm, torchrun.

A rank makes the shards whose number falls to it. The first rank at work plans, and the others follow its plan
as it grows; the one that finds no shard left closes the dataset, and so does any later run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.audio.source import AudioSource
from pipeline.build.create import Say, check_reject_rate, close, make, open_planned
from pipeline.build.examine import is_as_planned
from pipeline.build.measuring import check_annotators, measure
from pipeline.config import Settings
from pipeline.corpus import open_corpus
from pipeline.dataset.folder import check_output, open_or_init, unfinished, unfinished_among
from pipeline.dataset.manifest import Manifest, ShardPlan
from pipeline.dataset.mark import is_growing, read_mark
from pipeline.dataset.reader import Dataset
from pipeline.dataset.single_file import dataset_folder
from pipeline.errors import UsageError
from pipeline.progress import plural
from pipeline.storage.claims import Rank, RankClaim, claimed_rank
from pipeline.storage.paths import resolve_path

LAUNCHERS = {  # variable of the number: variable of the count, variable of the first number if it is not 0
    # slurm.schedmd.com/job_array.html
    "SLURM_ARRAY_TASK_ID": ("SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"),
    "RANK": ("WORLD_SIZE", None),  # docs.pytorch.org/docs/stable/elastic/run.html
    "SLURM_PROCID": ("SLURM_NTASKS", None),  # srun
}
POLL = 1.0  # seconds between looks at a plan that grows
LOOK = 30.0  # seconds between looks at whether the part that plans is alive


def rank_of(number: int | None, of: int | None, environment: Mapping[str, str]) -> Rank | None:
    """Return this process's rank, as asked or by the launcher's variables; None for a whole run.

    Raises UsageError for numbers that make no sense.
    """
    if number is not None or of is not None:
        if number is None or of is None or not 0 <= number < of:
            raise UsageError(f"--part {number} --num-parts {of}: give both, and a part from 0 to one below")
        return Rank(number, of) if of > 1 else None
    for variable, (count, first) in LAUNCHERS.items():
        found = _whole(environment, variable), _whole(environment, count)
        if found[0] is not None and found[1] is not None and found[1] > 1:
            start = _whole(environment, first) if first else 0
            step = _whole(environment, "SLURM_ARRAY_TASK_STEP") if first else 1
            part = Rank((found[0] - (start or 0)) // (step or 1), found[1], variable)
            if not 0 <= part.number < part.of:
                raise UsageError(f"{variable} is {found[0]}, and {count} is {found[1]}: give --part yourself")
            return part
    return None


def _whole(environment: Mapping[str, str], variable: str) -> int | None:
    value = environment.get(variable, "")
    return int(value) if value.isdecimal() else None


def beside_others(settings: Settings, environment: Mapping[str, str]) -> Settings:
    """Give one of torchrun's processes on a machine its own GPU and its share of the cores."""
    rank, size = _whole(environment, "LOCAL_RANK"), _whole(environment, "LOCAL_WORLD_SIZE")
    if rank is None or size is None or size == 1:
        return settings
    values: dict[str, Any] = {}
    if settings.load.num_workers is None:
        from pipeline.loader.processes import worker_count

        values["load.num_workers"] = max(1, worker_count(None) // size)
    if settings.codec.device == "auto":
        import torch

        if torch.cuda.device_count() > rank:
            values["codec.device"] = f"cuda:{rank}"
    return settings.with_values(values)


def create_rank(
    output: str | Path,
    settings: Settings,
    part: Rank,
    say: Say,
    *,
    retry_rejected: bool = False,
) -> Dataset | None:
    """Make the shards of one rank; return the dataset if that finished it, else None.

    Raises as `create_dataset` does; UsageError also if the same rank is being made elsewhere.
    """
    check_annotators(settings)
    dataset = _make_rank(resolve_path(output), settings, part, say, retry_rejected)
    if dataset is not None:
        measure(dataset, settings)
        check_reject_rate(dataset, settings)
    return dataset


def _make_rank(
    target: Path, settings: Settings, part: Rank, say: Say, retry_rejected: bool
) -> Dataset | None:
    root, settings = dataset_folder(target), beside_others(settings, os.environ)
    say(f"{part} (by {part.told_by})")
    check_output(target, settings)
    with claimed_rank(root, part, say) as claim:
        if claim.first or _is_orphaned(root, part, claim):
            planned = open_planned(
                root,
                settings,
                say,
                retry_rejected=retry_rejected,
                planner=part.lock,
                alone=claim.first,
            )
            planned.planning.begin()
            dataset, source, plan = planned.dataset, planned.corpus.source, planned.shards
        else:
            dataset, source = open_or_init(root, settings), open_corpus(settings.corpus).source
            plan = partial(follow, root / "manifest", claim, source)
        claim.planned()
        undone = unfinished_among(dataset, retry_rejected=retry_rejected)

        def own(shard: ShardPlan) -> bool:
            return shard.shard % part.of == part.number and undone(shard)

        made = make(dataset, source, lambda progress: plan(progress, own), settings, say)
        with claim.closing():
            manifest, growing = Manifest(root / "manifest"), is_growing(root / "manifest")
            dataset.reread(shard.shard for shard in unfinished(dataset, manifest))
            left = unfinished(dataset, manifest)
            if manifest.shards and not left and not growing:
                close(dataset, target)
                return dataset
        more = "; not all of the corpus is planned yet" if growing else ""
        say(
            f"{part}: {plural(len(made), 'shard')} made; {len(left):,} left to other parts or a run without "
            f"--part{more}"
        )
        return None


def _is_orphaned(root: Path, part: Rank, claim: RankClaim) -> bool:
    """Return whether the plan grew when the part that made it died."""
    mark = read_mark(root / "manifest")
    if mark is None or mark.complete:
        return False
    return mark.planner == part.lock or not claim.is_at_work(mark.planner)


def follow(
    folder: Path,
    claim: RankClaim,
    source: AudioSource,
    progress: Callable[[int], object],
    wanted: Callable[[ShardPlan], bool],
) -> Iterator[list[ShardPlan]]:
    """Yield shards that another part has planned, and plans, until its plan is whole or it has died.

    As `Planned.shards`, it leaves out those whose files are not as they were planned.
    """
    manifest, handed_on, looked = Manifest(folder), 0, time.monotonic()
    while True:
        mark = read_mark(folder)  # before the chunks: those of a whole plan are all there then
        manifest.follow()
        sure = len(manifest.shards) if mark is None or mark.kept is None else mark.kept
        for shard in filter(wanted, manifest.shards[handed_on:sure]):
            if is_as_planned(source, shard.rows_read()):
                yield [shard]
        handed_on = max(handed_on, sure)
        if mark is None or mark.complete:
            return
        if time.monotonic() - looked > LOOK:
            looked = time.monotonic()
            with claim.closing():
                if not claim.is_at_work(mark.planner):
                    return
        progress(0)
        time.sleep(POLL)
