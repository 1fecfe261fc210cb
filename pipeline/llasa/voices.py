"""Voices to continue: some text and the codes that say it, as a dataset's rows have them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.dataset.reader import Dataset
from pipeline.errors import UsageError
from pipeline.llasa_format.prompt import PromptFormat

if TYPE_CHECKING:
    from pipeline.llasa.joining import SpeechCodec

WIDE = re.compile(
    "[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef…♪♡○\U00020000-\U0003134f]"
)  # scripts without spaces


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


def voice_of_row(root: Path, row: str | None, codec: SpeechCodec) -> Voice:
    """Return the row of that id as a voice. Raises UsageError if it is missing or of another codec."""
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
    """Raise UsageError unless the codec is the one that made the dataset's codes."""
    states = dataset.states()
    made_by = states[0].codec if states else {"fingerprint": codec.fingerprint}
    if made_by["fingerprint"] != codec.fingerprint:
        raise UsageError(
            f"the codes of {dataset.root} were made by the codec {made_by['name']} and mean nothing to "
            f"{codec.name}: give that one as --codec"
        )
