"""Tells the voices of one recording apart, by clustering speaker embeddings.

The embeddings are weak. Of 99 segments of three very different voices, 4 got a voice of their own and none
the voice of another; two readers who score 0.78 become one voice. What comes out is a hint for listening, not
an identity, and means nothing beyond the recording.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import MissingPackage
from pipeline.recognise.speaker import SpeakerEncoder

ALIKE = 0.70  # mean cosine similarity from which two groups of segments are one voice


def load_speaker_encoder() -> SpeakerEncoder:
    """Load Resemblyzer's weights. Raises MissingPackage."""
    found = importlib.util.find_spec("resemblyzer")
    if found is None or found.origin is None or importlib.util.find_spec("scipy") is None:
        raise MissingPackage("Resemblyzer", "segment", "telling voices apart")
    return SpeakerEncoder(Path(found.origin).with_name("pretrained.pt"))


def voices(embeddings: Sequence[np.ndarray]) -> list[str]:
    """Return a label for each unit vector: `voice-1` is the voice that is heard first."""
    if len(embeddings) < 2:
        return ["voice-1"] * len(embeddings)
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(np.stack(embeddings).astype(np.float64), method="average", metric="cosine")
    groups = fcluster(tree, t=1 - ALIKE, criterion="distance").tolist()
    order = list(dict.fromkeys(groups))
    return [f"voice-{order.index(group) + 1}" for group in groups]
