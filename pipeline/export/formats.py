"""Writes a dataset as the files that one training program reads: complete or absent, always the same bytes.

Shards stream through: rows are made ready (as tokens, or as they are), assigned to train or validation, and
appended. A row that is too long with its prompt is listed in `left_out.jsonl` and never cut: cutting loses
the end marker, and then nothing teaches the model to stop.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
import pyarrow as pa

from pipeline.dataset.reader import Dataset
from pipeline.dataset.recordings import Recordings
from pipeline.errors import UsageError
from pipeline.export import rows, samples
from pipeline.export.lhotse_shar import LhotseWriter
from pipeline.export.memmaps import MemmapWriter, ShardedWriter, UnsplitWriter
from pipeline.export.rows import Rows
from pipeline.export.samples import LeftOut, Samples, fitting, tokenise
from pipeline.export.sft import IdWriter, MessageWriter
from pipeline.export.splits import Split
from pipeline.export.trainer_jsonl import PROMPT_EXTRA, JsonlWriter
from pipeline.export.webdataset import WebDatasetWriter
from pipeline.llasa_format.prompt import PromptFormat
from pipeline.storage.folders import recover_folder, replacing_folder

ROWS_PER_LOT = 1000  # 8 MB as a memmap of 2,048 tokens
RECORD = "export.json"  # what was asked for, and what came of it


class Batch(Protocol):
    """Some rows, ready to be written."""

    def __len__(self) -> int: ...

    def keep(self, mask: np.ndarray) -> Self:
        """Return the rows where `mask`, bool (rows,), is true."""
        ...


B = TypeVar("B", bound=Batch)
B_contra = TypeVar("B_contra", bound=Batch, contravariant=True)


Prepared = tuple[B, np.ndarray, list[LeftOut]]  # rows, bool (rows,): which of them fit, why the others do not


class Writer(Protocol[B_contra]):
    """Takes rows, a shard's at a time, and writes them by split."""

    def write(self, split: str, batch: B_contra, /) -> None:
        """Append rows, at least one."""
        ...

    def close(self) -> None:
        """Finish the files."""
        ...


@dataclass(frozen=True)
class Format:
    """What a training program reads as tokens, and how it is made."""

    open: Callable[[Path, PromptFormat, int], Writer[Samples]]  # folder, prompts, max_length
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
ROW_FORMATS: dict[str, Callable[[Path, int], Writer[Rows]]] = {  # without tokens: folder, rows a file
    "webdataset": WebDatasetWriter,
    "lhotse": LhotseWriter,
}


@dataclass(frozen=True)
class Export(Generic[B]):
    """One export: how rows are made ready and written, and what makes a difference to its files."""

    columns: tuple[str, ...]  # of the dataset
    prepare: Callable[[pa.Table, int], Prepared[B]]  # rows of a shard, its number
    open: Callable[[Path], Writer[B]]
    validation: str | None
    request: Mapping[str, Any]


def as_tokens(name: str, prompts: PromptFormat, max_length: int, date: str) -> Export[Samples]:
    """Return the export for a program of `FORMATS`; `date` is that of `prompts`."""
    form = FORMATS[name]

    def prepare(table: pa.Table, shard: int) -> Prepared[Samples]:
        batch = tokenise(table, prompts)
        return batch, *fitting(batch, prompts, form.extra, max_length)

    def begin(folder: Path) -> Writer[Samples]:
        return form.open(folder, prompts, max_length)

    request = {"format": name, "max_length": max_length, "tokenizer": prompts.digest, "date": date}
    return Export(samples.COLUMNS, prepare, begin, form.validation, request)


def as_rows(name: str, recordings: Recordings | None) -> Export[Rows]:
    """Return the export for a loader of `ROW_FORMATS`, with the recordings if they are given."""

    def prepare(table: pa.Table, shard: int) -> Prepared[Rows]:
        return Rows(table, shard, recordings), np.ones(len(table), bool), []

    def begin(folder: Path) -> Writer[Rows]:
        with_audio = recordings is not None
        return ROW_FORMATS[name](folder, rows.ROWS_PER_FILE_WITH_AUDIO if with_audio else rows.ROWS_PER_FILE)

    request = {"format": name, "embed_audio": recordings is not None}
    return Export(rows.COLUMNS, prepare, begin, "validation", request)


@dataclass(frozen=True)
class Outcome:
    """What an export made."""

    folder: Path
    rows: dict[str, int] = field(default_factory=Counter)  # by split
    left_out: dict[str, int] = field(default_factory=Counter)  # by reason
    made: bool = True  # False: the same export was there already


def write(
    dataset: Dataset,
    export: Export[B],
    split: Split,
    folder: Path,
    progress: Callable[[int], object] = lambda rows: None,
) -> Outcome:
    """Write `dataset` to `folder`, which is replaced as a whole.

    If `folder` holds just that already, nothing is done. Raises UsageError if it holds other things, or if
    there are no rows.
    """
    if not any(state.rows for state in dataset.states()):
        raise UsageError(f"{dataset.root} has no finished rows to export: run `create` first")
    recover_folder(folder)
    request = {**split.asked, **export.request, "dataset": dataset.digest()}
    if (found := _found(folder, request)) is not None:
        return Outcome(folder, found["rows"], found["left_out"], made=False)
    outcome = Outcome(folder)
    with replacing_folder(folder, RECORD) as temporary:
        with (
            _closing(export.open(temporary)) as writer,
            (temporary / "left_out.jsonl").open("w", encoding="utf-8") as listing,
        ):
            for shard, table in _lots(dataset, (*export.columns, split.column)):
                batch, fits, losses = export.prepare(table, shard)
                held = split.chosen(table)
                for side, mask in (("train", fits & ~held), (export.validation, fits & held)):
                    if side is not None and mask.any():
                        writer.write(side, batch.keep(mask))
                        outcome.rows[side] += int(np.count_nonzero(mask))
                for loss in losses:
                    outcome.left_out[loss.reason] += 1
                    listing.write(json.dumps(dataclasses.asdict(loss), ensure_ascii=False) + "\n")
                progress(len(table))
        record = {"request": request, "rows": outcome.rows, "left_out": outcome.left_out}
        (temporary / RECORD).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    return outcome


@contextlib.contextmanager
def _closing(writer: Writer[B]) -> Iterator[Writer[B]]:
    """Close a writer's files; after an error without a word, since what they hold is given up."""
    try:
        yield writer
    except BaseException:
        with contextlib.suppress(OSError):
            writer.close()
        raise
    writer.close()


def _lots(dataset: Dataset, columns: tuple[str, ...]) -> Iterator[tuple[int, pa.Table]]:
    """Yield the finished rows with their shard, at most `ROWS_PER_LOT` at a time."""
    for state in dataset.states():
        table = dataset.table(state.shard, [name for name in state.columns if name in columns])
        for start in range(0, len(table), ROWS_PER_LOT):
            yield state.shard, table.slice(start, ROWS_PER_LOT)


def _found(folder: Path, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the record of the export in `folder` if it is what is asked for."""
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return record if record["request"] == request else None
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
