"""Token ids as raw int32 files with their shape beside them: what LLaSA_training and its relatives map.

A row is `<|TEXT_UNDERSTANDING_START|>` text `<|TEXT_UNDERSTANDING_END|><|SPEECH_GENERATION_START|>` codes
`<|SPEECH_GENERATION_END|>` and padding. The readers put the chat template around it and cut what is longer
than 2,048 prompts, so a row that fits leaves room for that.
- llasa-memmap: https://github.com/zhenye234/LLaSA_training (train_tts.py, finetune_offline.py)
- unsloth-memmap: unsloth's Llasa notebook
- sharded-memmap: https://github.com/SebastianBodza/LLaSA_training, whose sets are called train and test
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.export.samples import Samples
from pipeline.llasa_format.prompt import PromptFormat
from pipeline.ragged import Ragged, constant, padded

RANKS, PARTIALS = 2, 2  # the files that the sharded reader opens unless it is edited


class MemmapWriter:
    """Appends rows to `{stem}.memmap` and closes with `{stem}_shape.npy`."""

    def __init__(self, folder: Path, prompts: PromptFormat, width: int) -> None:
        self._folder = folder
        self._prompts = prompts
        self._width = width
        self._padding = prompts.eos
        self._files: dict[str, BinaryIO] = {}
        self._rows: dict[str, int] = {}

    def write(self, split: str, samples: Samples) -> None:
        """Append the samples of a split."""
        rows = self._matrix(samples)
        for stem, part in self._parts(split, rows):
            if stem not in self._files:
                self._files[stem] = (self._folder / f"{stem}.memmap").open("wb")
                self._rows[stem] = 0  # before a write that the disk may refuse: closing comes after it
            self._files[stem].write(part.tobytes())
            self._rows[stem] += len(part)

    def close(self) -> None:
        """Close the files and write their shapes."""
        for stem, file in self._files.items():
            file.close()
            shape = io.BytesIO()  # written to a file by numpy, a failure would not say its cause
            np.save(shape, np.array([self._rows[stem], self._width]))
            (self._folder / f"{stem}_shape.npy").write_bytes(shape.getvalue())

    def _matrix(self, samples: Samples) -> np.ndarray:
        layout, rows = self._prompts.layout, len(samples)
        pieces = [
            samples.text_ids,
            constant([layout.speech_start], rows),
            code_tokens(samples, self._prompts),
            constant([layout.speech_end], rows),
        ]
        return padded(pieces, self._width, self._padding).astype("<i4", copy=False)

    def _parts(self, split: str, rows: np.ndarray) -> list[tuple[str, np.ndarray]]:
        return [(f"{split}_input_ids", rows)]


class UnsplitWriter(MemmapWriter):
    """One file, named without a split."""

    def _parts(self, split: str, rows: np.ndarray) -> list[tuple[str, np.ndarray]]:
        return [("input_ids", rows)]


class ShardedWriter(MemmapWriter):
    """Rows dealt in turn to `{split}_rank{r}_partial{k}`."""

    def __init__(self, folder: Path, prompts: PromptFormat, width: int) -> None:
        super().__init__(folder, prompts, width)
        self._padding = prompts.padding
        self._dealt: dict[str, int] = {}

    def _parts(self, split: str, rows: np.ndarray) -> list[tuple[str, np.ndarray]]:
        first = self._dealt.get(split, 0)
        self._dealt[split] = first + len(rows)
        turn = (first + np.arange(len(rows))) % (RANKS * PARTIALS)
        return [
            (f"{split}_rank{place // PARTIALS}_partial{place % PARTIALS}_input_ids", rows[turn == place])
            for place in np.unique(turn)
        ]


def code_tokens(samples: Samples, prompts: PromptFormat) -> Ragged:
    """Return the codes as token ids, int32."""
    ids = prompts.layout.code_ids.astype(np.int32)[samples.codes.values]
    return Ragged(ids, samples.codes.lengths)
