"""Annotates while a dataset is made: its loading processes have each recording decoded already.

Only what hears a recording by itself is measured there. `annotate` adds the rest when the dataset is
finished, and whatever a run that was killed left out; the bytes are the same either way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.annotate.files import AnnotationFile, measured_by
from pipeline.annotate.listening import hear
from pipeline.annotate.protocol import Annotator, ClipAnnotator
from pipeline.annotate.registry import open_annotators
from pipeline.dataset.reader import Dataset
from pipeline.dataset.state import State
from pipeline.errors import UsageError

Figures = Mapping[str, Any]  # of a recording, by column


@dataclass(frozen=True)
class Ear:
    """What a loading process is given to listen with: the names, which it opens itself."""

    names: tuple[str, ...]

    def __call__(self, waveform: np.ndarray, rate: int, row: str) -> Figures | None:
        """Return the figures of the recording, float32 (samples,), of a row; None if an annotator fails.

        Then `annotate` fails at this row too, when the dataset is finished, and says how.
        """
        try:
            return hear(_opened(self.names), waveform, rate, row)
        except UsageError:
            return None


@lru_cache(maxsize=1)
def _opened(names: tuple[str, ...]) -> list[Annotator]:
    return hearing(names)


def names_of(listed: str) -> list[str]:
    """Return the names in `level,quality`."""
    return [name.strip() for name in listed.split(",") if name.strip()]


def hearing(names: Sequence[str]) -> list[Annotator]:
    """Open those of the named annotators that hear recordings by themselves. Raises UsageError."""
    asked = [name for name in names if name != "transcript"]  # it is made with what `annotate` is told
    return [one for one in open_annotators(asked) if isinstance(one, ClipAnnotator)]


def write_heard(
    dataset: Dataset,
    state: State,
    annotators: Sequence[Annotator],
    ids: pa.ChunkedArray,
    figures: Sequence[Figures | None],
) -> None:
    """Write what was heard of a finished shard's rows, unless the figures of a row are missing."""
    known = [one for one in figures if one is not None]
    for annotator in annotators if len(known) == len(ids) else ():
        values = {name: [one.get(name) for one in known] for name in annotator.columns}
        measured = measured_by(annotator, dataset, state, compares=False)
        AnnotationFile(dataset, annotator.name, state.shard).write(annotator, ids, values, measured)
