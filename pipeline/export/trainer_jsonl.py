"""Writes `{"text": …, "code": […]}` lines for llasa-trainer, which makes its prompts itself when it loads.

Its prompt differs from the chat template's by a line break after `<|SPEECH_GENERATION_START|>`, and its
trainer adds a second begin-of-text: two tokens more. https://github.com/laksjdjf/llasa-trainer
(modules/llasa_utils.py)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.export.samples import Samples
from pipeline.llasa_format.prompt import PromptFormat

PROMPT_EXTRA = 2  # tokens: the line break and the second begin-of-text


class JsonlWriter:
    """Appends to `{split}.jsonl`; its reader makes the prompts, and cuts nothing to a width."""

    def __init__(self, folder: Path, prompts: PromptFormat, width: int) -> None:
        self._folder = folder
        self._files: dict[str, TextIO] = {}

    def write(self, split: str, samples: Samples) -> None:
        """Append the samples of a split."""
        if split not in self._files:
            self._files[split] = (self._folder / f"{split}.jsonl").open("w", encoding="utf-8", newline="\n")
        numbers = pc.cast(pa.array(samples.codes.values), pa.string())
        offsets = pa.array(samples.codes.offsets(), pa.int64())
        codes = pc.binary_join(pa.LargeListArray.from_arrays(offsets, numbers), ", ").to_pylist()
        self._files[split].writelines(
            f'{{"text": {json.dumps(text, ensure_ascii=False)}, "code": [{row}]}}\n'
            for text, row in zip(samples.texts, codes, strict=True)
        )

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
