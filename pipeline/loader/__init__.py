"""Loads utterances as batches of decoded clips, in order."""

from __future__ import annotations

from pipeline.loader.batch import Batch, Request
from pipeline.loader.pool import load

__all__ = ["Batch", "Request", "load"]
