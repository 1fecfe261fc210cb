"""Voices to continue: some text and the codes that say it, as a dataset's rows have them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from pipeline.dataset.reader import Dataset
from pipeline.errors import UsageError
from pipeline.llasa_format.prompt import PromptFormat

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.codec.protocol import Codec

WIDE = re.compile(
    "[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef…♪♡○\U00020000-\U0003134f]"
)  # scripts without spaces


DECODING_SECONDS = 30.0  # that decoding a reference clip may take


@dataclass(frozen=True)
class Voice:
    """Speech to continue: what was said, and its codes, uint16 (n,)."""

    text: str
    codes: np.ndarray

    def then(self, other: Voice) -> Voice:
        """Return this and then the other, as one."""
        return Voice(joined(self.text, other.text), np.concatenate([self.codes, other.codes]))

    def prompt(self, prompts: PromptFormat, text: str) -> list[int]:
        """Return the token ids of a prompt for `text` that continues this speech."""
        return prompts.tokens(joined(self.text, text)) + prompts.layout.tokens_of(self.codes)


def joined(first: str, second: str) -> str:
    """Join two texts, with a space between them if their script has spaces."""
    if not first or not second:
        return first or second
    spaceless = WIDE.match(first[-1]) or WIDE.match(second[0])
    return first + ("" if spaceless else " ") + second


def read_clip(path: Path, rate: int, max_seconds: float) -> Tensor:
    """Read a recording as float32 (samples,) at `rate` Hz. Raises UsageError if it cannot be used."""
    from pipeline.audio.decode import AudioError, decode, resample

    try:
        waveform, own = decode(path, max_seconds=max_seconds, deadline_seconds=DECODING_SECONDS)
    except AudioError as error:
        raise UsageError(f"the recording {path.name} cannot be used: {error.detail}") from error
    return resample(waveform, own, rate)


def voice_of_row(root: Path, row: str | None, codec: Codec) -> Voice:
    """Return the row of that id as a voice. Raises UsageError if it is missing or of another codec."""
    dataset = Dataset(root)
    if row is None or not dataset.states():
        raise UsageError(f"name a row of {root} with --row: the id of a clip in it")
    check_codec(dataset, codec)
    found = find_row(dataset, row)
    return Voice(found["text"], np.asarray(found["code"], dtype=np.uint16))


def find_row(dataset: Dataset, identifier: str) -> dict[str, Any]:
    """Return the row of that id. Raises UsageError if there is none."""
    for table in dataset.tables():
        kept = table.filter(pc.equal(table["id"], identifier))
        if len(kept):
            return dict(kept.slice(0, 1).to_pylist()[0])
    raise UsageError(f"{dataset.root} has no row {identifier!r}")


def check_codec(dataset: Dataset, codec: Codec) -> None:
    """Raise UsageError unless the codec is the one that made the dataset's codes."""
    states = dataset.states()
    made_by = states[0].codec if states else {"fingerprint": codec.fingerprint}
    if made_by["fingerprint"] != codec.fingerprint:
        raise UsageError(
            f"the codes of {dataset.root} were made by the codec {made_by['name']} and mean nothing to "
            f"{codec.name}: give that one as --codec"
        )
