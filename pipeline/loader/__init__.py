"""Utterances in, batches of decoded clips out, in order: `plan_batches` groups them, `load` makes them.

Knows how clips become a padded batch. Which clips there are, and what becomes of a batch, is `run`'s to know.
"""

from __future__ import annotations

from pipeline.loader.batch import Batch, Request, plan_batches
from pipeline.loader.pool import load

__all__ = ["Batch", "Request", "load", "plan_batches"]
