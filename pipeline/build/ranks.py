"""Shares one run out to processes that have only the output folder in common: Slurm, torchrun.

A rank makes the shards whose number falls to it. The first rank at work plans and the others take its plan;
the one that finds no shard left closes the dataset, and so does any later run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.build.create import Say, check_reject_rate, make, make_plan, read_plan
from pipeline.config import Settings
from pipeline.dataset.folder import check_output, unfinished
from pipeline.dataset.reader import Dataset
from pipeline.dataset.single_file import dataset_folder
from pipeline.dataset.summary import finish
from pipeline.errors import UsageError
from pipeline.storage.claims import Rank, claimed_rank
from pipeline.storage.paths import resolve_path

LAUNCHERS = {  # variable of the number: variable of the count, variable of the first number if it is not 0
    # slurm.schedmd.com/job_array.html
    "SLURM_ARRAY_TASK_ID": ("SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"),
    "RANK": ("WORLD_SIZE", None),  # docs.pytorch.org/docs/stable/elastic/run.html
    "SLURM_PROCID": ("SLURM_NTASKS", None),  # srun
}


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
    target = resolve_path(output)
    root, settings = dataset_folder(target), beside_others(settings, os.environ)
    say(f"{part} (by {part.told_by})")
    check_output(target, settings)
    with claimed_rank(root, part, say) as claim:
        if claim.first:
            planned = make_plan(root, settings, say, retry_rejected=retry_rejected)
        else:
            planned = read_plan(root, settings)
        claim.planned()
        todo = unfinished(planned.dataset, planned.manifest, retry_rejected=retry_rejected)
        own = [plan for plan in todo if plan.shard % part.of == part.number]
        if own:
            make(planned, own, settings, say)
        with claim.closing():
            planned.dataset.reread(plan.shard for plan in todo)
            left = unfinished(planned.dataset, planned.manifest)
            if not left:
                finish(planned.dataset, target)
                check_reject_rate(planned.dataset, settings)
                return planned.dataset
        say(
            f"{part}: {len(own):,} shards made; {len(left):,} are left to other parts or a run without --part"
        )
        return None
