"""Shares a verb's work out: to processes that are told their part each, or to workers of a Ray cluster."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pipeline.storage.claims import Rank

Made = TypeVar("Made")


def add_sharing(parser: argparse.ArgumentParser) -> None:
    """Add where the work is done, and which part of it."""
    parser.add_argument("--engine", choices=["local", "ray"], default="local", help="where [local]")
    parser.add_argument("--ray-address", metavar="ADDRESS", help="the Ray cluster [one on this machine]")
    add_parts(parser)


def add_parts(options: argparse._ActionsContainer) -> None:
    """Add which part of the work is done: to a parser, or to a group of its options."""
    options.add_argument(
        "--num-parts", type=int, metavar="N", help="share the work out to N processes, each with its --part"
    )
    options.add_argument(
        "--part",
        type=int,
        metavar="K",
        help="which of them this is, from 0 [Slurm's array or torchrun's number, else all of it]",
    )


def shared(work: Callable[..., Made], arguments: argparse.Namespace, **here: Any) -> Made:
    """Return what `work` gives here: for this process's rank, or after a Ray cluster has done every rank.

    It must be resumable, and takes `rank`, `say` and `device`, and in this process what `here` holds.
    """
    from pipeline.build.ranks import rank_of
    from pipeline.errors import UsageError

    rank = rank_of(arguments.part, arguments.num_parts, os.environ)
    if arguments.engine == "ray":
        if rank is not None:
            raise UsageError("--engine ray shares the work out by itself: leave --part and --num-parts out")
        from pipeline.build.engines.ray.ranks import run_ranks
        from pipeline.config import Settings

        values = {"run.ray_address": arguments.ray_address, "codec.device": arguments.device}
        run_ranks(partial(_on_ray, work), Settings().with_values(values), print)
    return work(rank=rank, **here)


def _on_ray(work: Callable[..., object], rank: Rank, device: str | None) -> None:
    work(rank=rank, say=lambda line: None, **({"device": device} if device else {}))
