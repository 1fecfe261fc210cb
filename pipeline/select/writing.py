"""Writes the chosen rows as a dataset like any other, complete or absent; what is left out is a rejection."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from pipeline.annotate.files import AnnotationFile
from pipeline.dataset.manifest import Manifest, ManifestRow
from pipeline.dataset.reader import Dataset
from pipeline.dataset.summary import finish
from pipeline.dataset.writer import write_shard
from pipeline.select.choosing import Choice
from pipeline.storage.files import write_text
from pipeline.storage.folders import recover_folder, replacing_folder
from pipeline.utterance import Reason, Rejection

RECORD = "selection.json"  # what was asked for, and what came of it


def write_chosen(source: Dataset, choice: Choice, target: Path, record: Mapping[str, Any]) -> bool:
    """Write the chosen rows of `source` to `target`; False if just these lie there already.

    `record` is what the selection was made by. Raises UsageError if `target` holds anything but an earlier
    selection, which is replaced as a whole.
    """
    content = json.dumps(dict(record), indent=1, ensure_ascii=False) + "\n"
    recover_folder(target)
    if made := not _is_there(target, content):
        with replacing_folder(target, RECORD) as temporary:
            _write(source, choice, temporary)
            (temporary / RECORD).write_text(content, encoding="utf-8")
    finish(Dataset(target), target)
    return made


def _is_there(target: Path, content: str) -> bool:
    try:
        return (target / RECORD).read_text(encoding="utf-8") == content
    except OSError:
        return False


def _write(source: Dataset, choice: Choice, target: Path) -> None:
    config = {"fingerprint": source.fingerprint, "settings": source.settings}
    write_text(target / "config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    plans = Manifest(source.root / "manifest").shards
    left_out = list(_left_out(source, choice))
    rows = (
        [_planned(row, why) for row in plan.rows_read()] for plan, why in zip(plans, left_out, strict=True)
    )
    for _ in Manifest(target / "manifest").append(rows, stood=0):
        pass
    first_row, chosen = 0, Dataset(target)
    states = zip(source.states(), Manifest(target / "manifest").shards, left_out, strict=True)
    for state, plan, why in states:
        table = source.table(state.shard)
        kept = choice.kept[first_row : first_row + len(table)]
        first_row += len(table)
        marks = {"inputs": plan.digest, "codec": state.codec, "timings": {}}
        rejections = [*_rejections(source, state.shard), *_refused(table, why)]
        made = write_shard(chosen.files(state.shard), table.filter(pa.array(kept)), rejections, marks)
        for name in source.annotators():
            AnnotationFile(source, name, state.shard).carry(pa.array(kept), chosen, state, made)


def _left_out(source: Dataset, choice: Choice) -> Iterator[dict[str, str]]:
    """Yield, for each shard, why rows are left out, by id."""
    first_row = 0
    for table in source.tables(["id"]):
        reasons = choice.reasons[first_row : first_row + len(table)].tolist()
        ids = table["id"].to_pylist()
        yield {name: choice.words[why] for name, why in zip(ids, reasons, strict=True) if why}
        first_row += len(table)


def _planned(row: ManifestRow, left_out: Mapping[str, str]) -> ManifestRow:
    if row.reason is not None or row.utterance.id not in left_out:
        return row
    return dataclasses.replace(row, reason=Reason.EXCLUDED, detail=_detail(left_out[row.utterance.id]))


def _rejections(source: Dataset, shard: int) -> list[Rejection]:
    with source.files(shard).rejected.open(encoding="utf-8") as file:
        return [Rejection(**json.loads(line)) for line in file]


def _refused(table: pa.Table, left_out: Mapping[str, str]) -> Iterator[Rejection]:
    for row in table.select(["id", "audio"]).to_pylist():
        if row["id"] in left_out:
            yield Rejection(row["id"], row["audio"], Reason.EXCLUDED, _detail(left_out[row["id"]]))


def _detail(why: str) -> str:
    return f"left out by select: {why}"
