"""Parquet for the Trainers of transformers and trl: token ids with labels, or messages.

`input_ids` is the whole conversation, from the first token of the template to the end marker of the speech;
`labels` are -100 up to and with the speech's start marker: the loss is on the codes and the end alone.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import naming
from pipeline.export.memmaps import code_tokens
from pipeline.export.samples import Samples
from pipeline.llasa_format.prompt import INSTRUCTION, PromptFormat
from pipeline.ragged import Ragged, constant, joined

IGNORED = -100  # the label that PyTorch's cross entropy leaves out
ROWS_PER_FILE = 100_000


class SftWriter(ABC):
    """Appends to `{split}-00000.parquet`, a row group for each lot of samples, and on to further files."""

    def __init__(self, folder: Path, prompts: PromptFormat, width: int) -> None:
        self._folder = folder
        self._prompts = prompts
        self._open: dict[str, pq.ParquetWriter] = {}
        self._rows: Counter[str] = Counter()

    @abstractmethod
    def table(self, samples: Samples) -> pa.Table:
        """Return the columns of some samples."""

    def write(self, split: str, samples: Samples) -> None:
        """Append the samples of a split."""
        table = self.table(samples)
        number, within = divmod(self._rows[split], ROWS_PER_FILE)
        if within + len(table) > ROWS_PER_FILE:
            rest = ROWS_PER_FILE - within
            self._append(split, number, table.slice(0, rest))
            number, table = number + 1, table.slice(rest)
        self._append(split, number, table)

    def _append(self, split: str, number: int, table: pa.Table) -> None:
        name = f"{split}-{number:05d}"
        with self._abandoned_on_error():
            if name not in self._open:
                self.close_split(split)
                path = self._folder / f"{name}.parquet"
                self._open[name] = pq.ParquetWriter(path, table.schema, compression="zstd")
            self._open[name].write_table(table)
        self._rows[split] += len(table)

    def close_split(self, split: str) -> None:
        """Finish the file of a split that is being written."""
        for name in [name for name in self._open if name.rpartition("-")[0] == split]:
            with self._abandoned_on_error():
                self._open[name].close()
            del self._open[name]

    def close(self) -> None:
        """Finish every file."""
        with self._abandoned_on_error():
            for writer in self._open.values():
                writer.close()

    @contextlib.contextmanager
    def _abandoned_on_error(self) -> Iterator[None]:
        """Give every file up when one cannot be written, or the collector closes them and prints why not."""
        try:
            with naming(self._folder):
                yield
        except OSError:
            for writer in self._open.values():
                with contextlib.suppress(OSError):
                    writer.close()
                writer.is_open = False
            raise


class IdWriter(SftWriter):
    """Columns input_ids, labels (int32) and attention_mask (int8), lists of equal length a row."""

    def table(self, samples: Samples) -> pa.Table:
        """See `SftWriter.table`."""
        return id_table(samples, self._prompts)


class MessageWriter(SftWriter):
    """One column, messages: the turns of user and assistant, for trainers that apply the template."""

    def table(self, samples: Samples) -> pa.Table:
        """See `SftWriter.table`."""
        return message_table(samples, self._prompts)


def id_table(samples: Samples, prompts: PromptFormat) -> pa.Table:
    """Return the columns of `IdWriter`."""
    layout, rows = prompts.layout, len(samples)
    prompt = joined(
        [
            constant(prompts.opening, rows),
            samples.text_ids,
            constant([*prompts.middle, layout.speech_start], rows),
        ]
    )
    answer = joined([code_tokens(samples, prompts), constant([layout.speech_end], rows)])
    masked = Ragged(np.full_like(prompt.values, IGNORED), prompt.lengths)
    whole = joined([prompt, answer])
    attention = Ragged(np.ones(len(whole.values), np.int8), whole.lengths)
    return pa.table(
        {
            "input_ids": _lists(whole),
            "labels": _lists(joined([masked, answer])),
            "attention_mask": _lists(attention),
        }
    )


def message_table(samples: Samples, prompts: PromptFormat) -> pa.Table:
    """Return the column of `MessageWriter`."""
    layout, name = prompts.layout, prompts.tokenizer.convert_ids_to_tokens
    spelled = pa.array(name(layout.code_ids.tolist()))
    offsets = pa.array(samples.codes.offsets(), pa.int64())
    words = pa.LargeListArray.from_arrays(offsets, spelled.take(pa.array(samples.codes.values)))
    speech = pc.binary_join(words, "").to_pylist()
    start, end = name(layout.text_start), name(layout.text_end)
    messages = [
        [
            {"role": "user", "content": f"{INSTRUCTION}{start}{text}{end}"},
            {"role": "assistant", "content": name(layout.speech_start) + codes + name(layout.speech_end)},
        ]
        for text, codes in zip(samples.texts, speech, strict=True)
    ]
    turn = pa.struct([("role", pa.string()), ("content", pa.string())])
    return pa.table({"messages": pa.array(messages, pa.list_(turn))})


def _lists(ragged: Ragged) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(ragged.offsets(), pa.int32()), pa.array(ragged.values))
