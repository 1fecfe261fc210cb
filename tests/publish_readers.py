"""The programs that read exports, rebuilt from what LLASA.md says of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from publish_helpers import ROWS

from pipeline.__main__ import main
from pipeline.llasa_format.prompt import INSTRUCTION, break_markers

START, END, TEXT_START, TEXT_END = 128260, 128261, 128258, 128259
FIRST_CODE = 128264
EOT = 128009
WINDOW = 2048  # what the memmap readers cut to, whatever the file's width
Sample = tuple[str, list[int]]  # text, codes


def export(out: Path, form: str, tokenizer_folder: str, *more: str) -> Path:
    assert main(["export", str(out), "--to", form, "--tokenizer", tokenizer_folder, *more]) == 0
    return out / "export" / ("sft-messages" if "--messages" in more else form)


def expected(rows: list[dict[str, Any]] = ROWS) -> list[Sample]:
    return [(break_markers(row["text"]), row["code"]) for row in rows]


def mapped(folder: Path, stem: str) -> np.ndarray:
    shape = tuple(np.load(folder / f"{stem}_shape.npy"))
    return np.memmap(folder / f"{stem}.memmap", dtype="int32", mode="r", shape=shape)


def trained_on(stored: np.ndarray, tokenizer: Any) -> tuple[list[int], list[int]]:
    """Ids and labels as a memmap reader makes them: the row's parts in the template, then cut to WINDOW."""
    ids = stored.tolist()
    start = ids.index(START)
    end = ids.index(END) if END in ids else WINDOW
    turns = [
        {"role": "user", "content": INSTRUCTION + "<|TEXT_UNDERSTANDING_START|>"},
        {"role": "assistant", "content": "<|SPEECH_GENERATION_START|>"},
    ]
    frame = tokenizer.apply_chat_template(turns, tokenize=True, return_dict=False)
    for marker, part in ((TEXT_START, ids[:start]), (START, ids[start : end + 1])):
        at = frame.index(marker)
        frame = frame[:at] + part + frame[at + 1 :]
    frame = frame[:WINDOW]
    start = frame.index(START)
    return frame, [-100] * start + frame[start:]


def sample_of(ids: list[int], tokenizer: Any) -> Sample:
    text = tokenizer.decode(ids[ids.index(TEXT_START) + 1 : ids.index(TEXT_END)])
    return text, [i - FIRST_CODE for i in ids[ids.index(START) + 1 : ids.index(END)]]


def read_memmap(folder: Path, stem: str, tokenizer: Any) -> Iterator[Sample]:
    for stored in mapped(folder, stem):
        ids, labels = trained_on(stored, tokenizer)
        assert END in labels
        yield sample_of(ids, tokenizer)


def texts(folder: Path, split: str) -> list[str]:
    path = folder / f"{split}.jsonl"
    return [json.loads(line)["text"] for line in path.read_text().splitlines()] if path.exists() else []
