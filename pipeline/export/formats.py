"""Writes a dataset as the files that one training program reads: complete or absent, always the same bytes.

Shards stream through: rows are tokenised, assigned to train or validation, and appended. A row that is too
long with its prompt is listed in `left_out.jsonl` and never cut: cutting loses the end marker, and then
nothing teaches the model to stop.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from pipeline.dataset.reader import Dataset
from pipeline.errors import UsageError
from pipeline.export import memmaps, sft, trainer_jsonl
from pipeline.export.samples import COLUMNS, LeftOut, Samples, fitting, tokenise
from pipeline.export.splits import IsValidation
from pipeline.llasa_format.prompt import PromptFormat
from pipeline.storage.folders import replacing_folder

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


FORMATS: dict[str, Format] = {
    "llasa-trainer": Format(
        lambda folder, prompts, length: trainer_jsonl.JsonlWriter(folder), "val", trainer_jsonl.PROMPT_EXTRA
    ),
    "llasa-memmap": Format(
        lambda folder, prompts, length: memmaps.MemmapWriter(folder, prompts, length, prompts.eos), "val"
    ),
    "unsloth-memmap": Format(
        lambda folder, prompts, length: memmaps.UnsplitWriter(folder, prompts, length, prompts.eos), None
    ),
    "sharded-memmap": Format(
        lambda folder, prompts, length: memmaps.ShardedWriter(folder, prompts, length, prompts.padding),
        "test",
    ),
    "sft": Format(
        lambda folder, prompts, length: sft.SftWriter(folder, partial(sft.id_table, prompts=prompts)),
        "validation",
    ),
    "sft-messages": Format(
        lambda folder, prompts, length: sft.SftWriter(folder, partial(sft.message_table, prompts=prompts)),
        "validation",
    ),
}


@dataclass(frozen=True)
class Outcome:
    """What an export made."""

    folder: Path
    rows: dict[str, int]  # by split
    left_out: dict[str, int]  # by reason
    made: bool  # False: the same export was there already


def export(
    dataset: Dataset,
    name: str,
    prompts: PromptFormat,
    is_validation: IsValidation,
    folder: Path,
    *,
    max_length: int,
    columns: tuple[str, ...] = (),
    asked: Mapping[str, Any],
    progress: Callable[[int], object] = lambda rows: None,
) -> Outcome:
    """Write `dataset` for the program `name` (see `FORMATS`) to `folder`, which is replaced as a whole.

    `columns` are those that `is_validation` looks at; `asked` is what else makes a difference (seed, date
    and so on). If `folder` holds just that already, nothing is done. Raises UsageError if it holds other
    things.
    """
    request = {
        **asked,
        "format": name,
        "max_length": max_length,
        "tokenizer": prompts.digest,
        "dataset": _digest(dataset),
    }
    if (found := _found(folder, request)) is not None:
        return Outcome(folder, found["rows"], found["left_out"], made=False)
    with replacing_folder(folder, RECORD) as temporary:
        filing = _Filing(FORMATS[name], prompts, is_validation, max_length)
        writer = filing.form.open(temporary, prompts, max_length)
        with (temporary / "left_out.jsonl").open("w", encoding="utf-8") as listing:
            for table in _lots(dataset, tuple(dict.fromkeys((*COLUMNS, *columns)))):
                for loss in filing.write(table, writer):
                    listing.write(json.dumps(dataclasses.asdict(loss), ensure_ascii=False) + "\n")
                progress(len(table))
        writer.close()
        record = {"request": request, "rows": filing.rows, "left_out": filing.left_out}
        (temporary / RECORD).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    return Outcome(folder, dict(filing.rows), dict(filing.left_out), made=True)


class _Filing:
    """Writes one lot of rows after the other, and counts."""

    def __init__(
        self, form: Format, prompts: PromptFormat, is_validation: IsValidation, max_length: int
    ) -> None:
        self.form = form
        self.rows: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self._prompts = prompts
        self._is_validation = is_validation
        self._max_length = max_length

    def write(self, table: pa.Table, writer: Writer) -> list[LeftOut]:
        """Write what fits and return what does not."""
        samples = tokenise(table, self._prompts)
        fits, losses = fitting(samples, self._prompts, self.form.extra, self._max_length)
        held = self._is_validation(table)
        for split, mask in (("train", fits & ~held), (self.form.validation, fits & held)):
            if split is not None and mask.any():
                writer.write(split, samples.keep(mask))
                self.rows[split] += int(np.count_nonzero(mask))
        self.left_out.update(loss.reason for loss in losses)
        return losses


def _lots(dataset: Dataset, columns: tuple[str, ...]) -> Iterator[pa.Table]:
    """Yield the finished rows, at most `ROWS_PER_LOT` at a time."""
    for state in dataset.states():
        table = dataset.table(state.shard, [name for name in columns if name in state.columns])
        for start in range(0, len(table), ROWS_PER_LOT):
            yield table.slice(start, ROWS_PER_LOT)


def _found(folder: Path, request: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return record if record["request"] == request else None


def _digest(dataset: Dataset) -> str:
    states = dataset.states()
    if not any(state.rows for state in states):
        raise UsageError(f"{dataset.root} has no finished rows to export: run create_dataset.py first")
    contents = json.dumps([state.files for state in states], sort_keys=True)
    return hashlib.sha256(contents.encode()).hexdigest()[:16]
