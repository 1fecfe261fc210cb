"""Reads every row of a dataset once, a shard in memory at a time: integrity and statistics.

The checks of one shard are integrity.py's, code_scan.py's and text_scan.py's; here they add up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import ValidationSettings
from pipeline.dataset.manifest import Manifest
from pipeline.dataset.reader import Dataset
from pipeline.dataset.state import State
from pipeline.storage.files import checksum
from pipeline.validate.rows import rates
from pipeline.validate.rows.code_scan import CodeScan
from pipeline.validate.rows.integrity import CodecFacts, RowFaults, check_plan, check_rows, places
from pipeline.validate.rows.reading import ShardRows, Unreadable, read_shard
from pipeline.validate.rows.row_table import HASHED, RowTable
from pipeline.validate.rows.text_scan import TextScan
from pipeline.validate.suspects import BROKEN, Suspects

EXAMPLES = 10_000  # duplicate rows that are named
NAMED_TWICE = ("id", "audio", "codes")  # a text may well be spoken twice, these may not
MARKERS = 4  # tokens that every training format puts around text and codes
NOT_SUSPECT = {"one_code_short", "may_exceed_training_length"}  # said by another rule, or only possible

Fits = Callable[
    [pa.Array, np.ndarray], np.ndarray
]  # texts and code counts (rows,) to booleans: fits training


@dataclass
class Scan:
    """What the whole dataset shows."""

    codes: CodeScan
    texts: TextScan
    planned: int = 0
    rows: int = 0
    rejected: int = 0
    shards_unfinished: int = 0
    shards_of_another_plan: int = 0
    form_faults: list[str] = field(default_factory=list)  # sentences: files that depart from the schema
    file_faults: list[str] = field(default_factory=list)  # sentences: checksums, unreadable files
    faults: Counter[str] = field(default_factory=Counter)  # rows by broken rule
    duplicates: dict[str, int] = field(default_factory=dict)  # rows like an earlier one, by column
    shard_rows: dict[int, int] = field(default_factory=dict)  # rows read, by shard


class Scanner:
    """Reads a dataset shard by shard.

    `work`: a folder for what does not fit into memory; `fits`: the tokenizer's word on rows that a bound
    leaves open.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: ValidationSettings,
        work: Path,
        suspects: Suspects,
        fits: Fits | None = None,
    ) -> None:
        self._dataset, self._suspects, self._fits = dataset, suspects, fits
        self._settings = settings
        self._plans = {plan.shard: plan for plan in Manifest(dataset.root / "manifest").shards}
        self._table = RowTable(work)
        self._scan = Scan(
            CodeScan(settings, suspects),
            TextScan(),
            planned=sum(plan.rows for plan in self._plans.values()),
        )

    def run(self, progress: Callable[[int], object] = lambda rows: None) -> Scan:
        """Read every finished shard; `progress` is called with the number of rows just read."""
        states = self._dataset.states()
        self._scan.shards_unfinished = len(self._plans.keys() - {state.shard for state in states})
        with self._table as table:
            for state in states:
                progress(self._shard(state))
            for name in HASHED:
                self._scan.duplicates[name], repeated = table.repeated(name, EXAMPLES)
                if name in NAMED_TWICE:
                    self._suspects.add(f"duplicate_{name}", repeated, BROKEN / 2)
            self._scan.texts.finish(table, self._suspects, self._settings.rate_outlier)
        self._scan.faults.update(self._scan.codes.faults)  # += would drop the zeros
        return self._scan

    def _shard(self, state: State) -> int:
        """Check one shard and return its rows."""
        scan, plan = self._scan, self._plans.get(state.shard)
        scan.file_faults += file_faults(self._dataset.root, state)
        scan.rejected += state.rejected
        if self._plans:  # a published dataset comes without
            scan.shards_of_another_plan += plan is None or plan.digest != state.inputs
        scan.shard_rows[state.shard] = 0
        try:
            shard = read_shard(self._dataset.files(state.shard).data, self._dataset.form)
        except Unreadable as error:
            scan.file_faults.append(str(error))
            return 0
        scan.form_faults += shard.form_faults
        if len(shard):
            codec = codec_facts(state)
            self._rows(shard, codec, None if plan is None else plan.read())
        scan.shard_rows[state.shard] = len(shard)
        return len(shard)

    def _rows(self, shard: ShardRows, codec: CodecFacts, planned: pa.Table | None) -> None:
        first_row = self._scan.rows
        faults = check_rows(shard, codec, self._settings.max_length)
        self._decide_length(shard, faults)
        self._note(faults, first_row)
        if planned is not None:
            self._note(check_plan(shard, planned), first_row)
        self._scan.codes.add(shard, codec.codebook_size, first_row)
        self._record(shard, planned, first_row)
        self._scan.rows += len(shard)

    def _decide_length(self, shard: ShardRows, faults: RowFaults) -> None:
        """Let the tokenizer decide what the bound leaves open; without one, only the codes are certain."""
        unsure = faults.masks["may_exceed_training_length"]
        certain = shard.counts + MARKERS > self._settings.max_length
        if self._fits is not None and unsure.any():
            chosen = pc.fill_null(shard.texts("text"), "").filter(pa.array(unsure))
            certain[unsure] |= ~self._fits(chosen, shard.counts[unsure])
            unsure = np.zeros_like(unsure)
        faults.add("may_exceed_training_length", unsure & ~certain)
        faults.add("exceeds_training_length", certain)

    def _note(self, faults: RowFaults, first_row: int) -> None:
        for rule, mask in faults.masks.items():
            rows = np.flatnonzero(mask)
            self._scan.faults[rule] += len(rows)
            if rule not in NOT_SUSPECT:
                self._suspects.add(rule, rows + first_row, BROKEN)

    def _record(self, shard: ShardRows, planned: pa.Table | None, first_row: int) -> None:
        texts, languages = pc.fill_null(shard.texts("text"), ""), shard.texts("language")
        japanese = rates.is_japanese(texts, languages)
        units, seconds = rates.count_units(texts, japanese), np.nan_to_num(shard.numbers("duration"))
        self._scan.texts.add(units, seconds)
        named = pc.if_else(pa.array(japanese), "ja", "")  # a row without a language goes by its script
        offsets = np.concatenate([[0], np.cumsum(shard.counts)])
        records = {
            "row": np.arange(first_row, first_row + len(shard)),
            "id": shard.texts("id"),
            "audio": places(shard, planned),
            "text": pc.utf8_lower(pc.utf8_trim_whitespace(texts)),
            "codes": pa.LargeListArray.from_arrays(offsets, shard.codes),
            "language": pc.coalesce(languages, named),
            "units": units,
            "seconds": seconds,
        }
        self._table.add(pa.table(records))


def codec_facts(state: State) -> CodecFacts:
    """Return what a state says of its codec; one that says nothing of extra codes is XCodec2's."""
    said = state.codec
    extra = int(said.get("extra_codes", 1))
    return CodecFacts(said["sample_rate"], said["hop_length"], said["codebook_size"], extra)


def file_faults(root: Path, state: State) -> list[str]:
    """Return a sentence for each file of a shard that is there and is not as it was written."""
    return [
        f"{name} has changed since it was written"
        for name, written in state.files.items()
        if (root / name).exists() and checksum(root / name) != written["sha256"]
    ]
