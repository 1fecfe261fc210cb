"""Where shards are made: in this process, or by the workers of a Ray cluster."""

from __future__ import annotations

import importlib

from pipeline.build.engines.job import Engine, Job
from pipeline.errors import UsageError

ENGINES = ("local", "ray")  # each a module of this package with `make_shards`
__all__ = ["Engine", "Job", "engine"]


def engine(name: str) -> Engine:
    """Return the engine that `run.engine` names: a function that makes all shards of a job."""
    if name not in ENGINES:
        raise UsageError(f"--engine {name} is none of {', '.join(ENGINES)}")
    chosen: Engine = importlib.import_module(f"pipeline.build.engines.{name}").make_shards
    return chosen
