"""Writes a dataset as the files that one training program reads: complete or absent, always the same bytes.

Shards stream through: rows are tokenised, assigned to train or validation, and appended. A row that is too
long with its prompt is listed in `left_out.jsonl` and never cut: cutting loses the end marker, and then
nothing teaches the model to stop.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from pipeline.dataset.reader import Dataset
from pipeline.errors import UsageError
from pipeline.export.memmaps import MemmapWriter, ShardedWriter, UnsplitWriter
from pipeline.export.samples import COLUMNS, Samples, fitting, tokenise
from pipeline.export.sft import IdWriter, MessageWriter
from pipeline.export.splits import Split
from pipeline.export.trainer_jsonl import PROMPT_EXTRA, JsonlWriter
from pipeline.llasa_format.prompt import PromptFormat
from pipeline.storage.folders import recover_folder, replacing_folder

ROWS_PER_LOT = 1000  # 8 MB as a memmap of 2,048 tokens
RECORD = "export.json"  # what was asked for, and what came of it


class Writer(Protocol):
    """Takes samples, a shard's at a time, and writes them by split."""

    def write(self, split: str, samples: Samples) -> None:
        """Append samples, at least one."""
        ...

    def close(self) -> None:
        """Finish the files."""
        ...


@dataclass(frozen=True)
class Format:
    """What a training program reads, and how it is made."""

    open: Callable[[Path, PromptFormat, int], Writer]  # folder, prompts, max_length
    validation: str | None  # the validation split's name; None: the program reads one set only
    extra: int = 0  # tokens that the program adds to the conversation of the chat template


FORMATS = {
    "llasa-trainer": Format(JsonlWriter, "val", PROMPT_EXTRA),
    "llasa-memmap": Format(MemmapWriter, "val"),
    "unsloth-memmap": Format(UnsplitWriter, None),
    "sharded-memmap": Format(ShardedWriter, "test"),
    "sft": Format(IdWriter, "validation"),
    "sft-messages": Format(MessageWriter, "validation"),
}


@dataclass(frozen=True)
class Outcome:
    """What an export made."""

    folder: Path
    rows: dict[str, int] = field(default_factory=Counter)  # by split
    left_out: dict[str, int] = field(default_factory=Counter)  # by reason
    made: bool = True  # False: the same export was there already


def write(
    dataset: Dataset,
    name: str,
    prompts: PromptFormat,
    split: Split,
    folder: Path,
    max_length: int,
    asked: Mapping[str, Any],
    progress: Callable[[int], object] = lambda rows: None,
) -> Outcome:
    """Write `dataset` for the program `name` (see `FORMATS`) to `folder`, which is replaced as a whole.

    `asked` is what else makes a difference (seed, date and so on). If `folder` holds just that already,
    nothing is done. Raises UsageError if it holds other things, or if there are no rows.
    """
    if not any(state.rows for state in dataset.states()):
        raise UsageError(f"{dataset.root} has no finished rows to export: run create_dataset.py first")
    recover_folder(folder)
    request = {**asked, "format": name, "max_length": max_length}
    request |= {"tokenizer": prompts.digest, "dataset": dataset.digest()}
    if (found := _found(folder, request)) is not None:
        return Outcome(folder, found["rows"], found["left_out"], made=False)
    form, outcome = FORMATS[name], Outcome(folder)
    with replacing_folder(folder, RECORD) as temporary:
        writer = form.open(temporary, prompts, max_length)
        with (temporary / "left_out.jsonl").open("w", encoding="utf-8") as listing:
            for table in _lots(dataset, (*COLUMNS, split.column)):
                samples = tokenise(table, prompts)
                fits, losses = fitting(samples, prompts, form.extra, max_length)
                held = split.chosen(table)
                for side, mask in (("train", fits & ~held), (form.validation, fits & held)):
                    if side is not None and mask.any():
                        writer.write(side, samples.keep(mask))
                        outcome.rows[side] += int(np.count_nonzero(mask))
                for loss in losses:
                    outcome.left_out[loss.reason] += 1
                    listing.write(json.dumps(dataclasses.asdict(loss), ensure_ascii=False) + "\n")
                progress(len(table))
        writer.close()
        record = {"request": request, "rows": outcome.rows, "left_out": outcome.left_out}
        (temporary / RECORD).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    return outcome


def _lots(dataset: Dataset, columns: tuple[str, ...]) -> Iterator[pa.Table]:
    """Yield the finished rows, at most `ROWS_PER_LOT` at a time."""
    for state in dataset.states():
        table = dataset.table(state.shard, [name for name in state.columns if name in columns])
        for start in range(0, len(table), ROWS_PER_LOT):
            yield table.slice(start, ROWS_PER_LOT)


def _found(folder: Path, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the record of the export in `folder` if it is what is asked for."""
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return record if record["request"] == request else None
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
