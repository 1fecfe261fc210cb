"""Voices out of a finished dataset: its rows hold texts and codes, which is all that cloning needs.

Stands between the shards, which it reads, and the companion, which speaks; knows no model.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.dataset.shards import Dataset
from pipeline.errors import UsageError
from pipeline.llasa.prompt import Voice

if TYPE_CHECKING:
    from pipeline.llasa.joining import SpeechCodec


def voice_of_row(root: Path, row: str | None, codec: SpeechCodec) -> Voice:
    """The row of that id as a voice. UsageError when it is not there, or was made by another codec."""
    dataset = Dataset(root)
    states = dataset.states()
    if not states or row is None:
        raise UsageError(f"name a row of {root} with --row: the id of a clip in it")
    check_codec(dataset, codec)
    for table in dataset.tables(["id", "text", "code"]):
        found = table["id"].to_pylist().index(row) if row in set(table["id"].to_pylist()) else None
        if found is not None:
            codes = np.asarray(table["code"][found].as_py(), dtype=np.uint16)
            return Voice(table["text"][found].as_py(), codes)
    raise UsageError(f"{root} has no row {row!r}")


def check_codec(dataset: Dataset, codec: SpeechCodec) -> None:
    """UsageError unless the codec is the one that made the dataset's codes."""
    states = dataset.states()
    made_by = states[0].codec if states else {"fingerprint": codec.fingerprint}
    if made_by["fingerprint"] != codec.fingerprint:
        raise UsageError(
            f"the codes of {dataset.root} were made by the codec {made_by['name']} and mean nothing to "
            f"{codec.name}: give that one as --codec"
        )
