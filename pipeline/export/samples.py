"""Turns a shard's rows into training samples: texts and codes as token ids, and which of them fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.errors import UsageError
from pipeline.llasa_format.prompt import PromptFormat, read_prompt_format
from pipeline.llasa_format.tokenizer import load_tokenizer
from pipeline.ragged import Ragged, from_arrow

COLUMNS = ("id", "text", "code")


@dataclass(frozen=True)
class Samples:
    """Some rows of a dataset, tokenised."""

    ids: np.ndarray  # str objects, (rows,)
    texts: np.ndarray  # str objects, (rows,): control tokens made harmless
    text_ids: Ragged  # each text with its two markers
    codes: Ragged  # uint16, as the codec made them

    def __len__(self) -> int:
        return len(self.ids)

    def keep(self, mask: np.ndarray) -> Samples:
        """Return the rows where `mask`, bool of shape (rows,), is true."""
        return Samples(self.ids[mask], self.texts[mask], self.text_ids.keep(mask), self.codes.keep(mask))


@dataclass(frozen=True)
class LeftOut:
    """A row that is not exported."""

    id: str
    reason: str  # too_long | code_out_of_range
    detail: str


def open_prompts(name: str, codebook_size: int, date: str) -> PromptFormat:
    """Load the tokenizer `name` for training programs.

    Raises UsageError if it cannot be had, or if trainers could not use it.
    """
    tokenizer = load_tokenizer(name)
    prompts = read_prompt_format(tokenizer, codebook_size, name, date)
    if np.any(np.diff(prompts.layout.code_ids) != 1):
        raise UsageError(
            f"the code tokens of {name} are not numbered one after the other, as LLASA trainers take them to "
            "be: use a LLASA tokenizer"
        )
    if tokenizer.eos_token_id is None:
        raise UsageError(f"{name} has no end-of-text token, which trainers pad with: use a LLASA tokenizer")
    return prompts


def tokenise(table: pa.Table, prompts: PromptFormat) -> Samples:
    """Tokenise rows of a shard (`COLUMNS`)."""
    texts, text_ids = prompts.encode(table["text"].to_pylist())
    return Samples(
        ids=_objects(table["id"].to_pylist()),
        texts=_objects(texts),
        text_ids=text_ids,
        codes=from_arrow(table["code"]),
    )


def fitting(
    samples: Samples, prompts: PromptFormat, extra: int, max_length: int
) -> tuple[np.ndarray, list[LeftOut]]:
    """Return which rows can be trained on, bool (rows,), and why the others cannot.

    A row counts with its whole conversation, and `extra` tokens for what a trainer adds to that.
    """
    lengths = samples.text_ids.lengths + samples.codes.lengths + prompts.overhead + extra
    vocabulary = len(prompts.layout.code_ids)
    known = _all_below(samples.codes, vocabulary)
    fits: np.ndarray = known & (lengths <= max_length)

    def why(row: int) -> LeftOut:
        if known[row]:
            detail = f"{lengths[row]} tokens with its prompt, --max-length is {max_length}"
            return LeftOut(samples.ids[row], "too_long", detail)
        return LeftOut(samples.ids[row], "code_out_of_range", f"the tokenizer has {vocabulary} codes")

    return fits, [why(row) for row in np.flatnonzero(~fits).tolist()]


def _all_below(codes: Ragged, limit: int) -> np.ndarray:
    rows = np.repeat(np.arange(len(codes)), codes.lengths)
    below: np.ndarray = np.bincount(rows[codes.values >= limit], minlength=len(codes)) == 0
    return below


def _objects(strings: Sequence[str]) -> np.ndarray:
    out = np.empty(len(strings), object)
    out[:] = strings
    return out
