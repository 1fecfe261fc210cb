"""Loads utterances as batches of decoded clips, in order: `plan_batches` groups them, `load` makes them."""

from __future__ import annotations

from pipeline.loader.batch import Batch, Request, plan_batches
from pipeline.loader.pool import load

__all__ = ["Batch", "Request", "load", "plan_batches"]
