"""The token layout of a LLASA model: eight markers and a token for each code, beside a Llama vocabulary.

Ids are read from the tokenizer. The layout is that of the published LLASA models:
https://github.com/zhenye234/LLaSA_training
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import UsageError

TEXT_GENERATION_START = "<|TEXT_GENERATION_START|>"
TEXT_GENERATION_END = "<|TEXT_GENERATION_END|>"
TEXT_START = "<|TEXT_UNDERSTANDING_START|>"
TEXT_END = "<|TEXT_UNDERSTANDING_END|>"
SPEECH_START = "<|SPEECH_GENERATION_START|>"
SPEECH_END = "<|SPEECH_GENERATION_END|>"
SPEECH_UNDERSTANDING_START = "<|SPEECH_UNDERSTANDING_START|>"
SPEECH_UNDERSTANDING_END = "<|SPEECH_UNDERSTANDING_END|>"

MARKERS = (  # in the order of their ids
    TEXT_GENERATION_START,
    TEXT_GENERATION_END,
    TEXT_START,
    TEXT_END,
    SPEECH_START,
    SPEECH_END,
    SPEECH_UNDERSTANDING_START,
    SPEECH_UNDERSTANDING_END,
)


def code_token(code: int) -> str:
    """Return how a speech code is spelled in the vocabulary."""
    return f"<|s_{code}|>"


@dataclass(frozen=True)
class Layout:
    """Ids of the markers and of the speech codes, as one tokenizer has them.

    `code_ids`: int64 of shape (codebook_size,), the token of each code.
    """

    text_start: int
    text_end: int
    speech_start: int
    speech_end: int
    code_ids: np.ndarray

    @property
    def codebook_size(self) -> int:
        """How many codes have a token."""
        return len(self.code_ids)

    def tokens_of(self, codes: np.ndarray) -> list[int]:
        """Return codes, integers of shape (n,), as token ids."""
        ids: list[int] = self.code_ids[codes.astype(np.int64)].tolist()
        return ids


def read_layout(tokenizer: Any, codebook_size: int, model: str) -> Layout:
    """Read the ids of a tokenizer's markers and of its first `codebook_size` codes.

    Raises UsageError, naming `model` and the token, if the vocabulary lacks one of them.
    """
    names = [TEXT_START, TEXT_END, SPEECH_START, SPEECH_END, *map(code_token, range(codebook_size))]
    vocabulary = tokenizer.get_vocab()
    missing = next((name for name in names if name not in vocabulary), None)
    if missing is not None:
        raise UsageError(
            f"{model} has no token {missing}, so it cannot speak the {codebook_size} codes of this codec: "
            "take a LLASA model that was trained for it, or another --codec"
        )
    text_start, text_end, speech_start, speech_end, *codes = (vocabulary[name] for name in names)
    return Layout(text_start, text_end, speech_start, speech_end, np.array(codes, dtype=np.int64))
