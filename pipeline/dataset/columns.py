"""Which columns the rows of a dataset have: those that the corpus fills, in every shard alike.

They are known for sure when the whole corpus is planned, and shards are made before that. So a column that
turns up late is added to the shards made without it, before the dataset is closed; nothing is encoded again.
"""

from __future__ import annotations

import json

import pyarrow as pa

from pipeline.dataset import rows
from pipeline.dataset.manifest import Manifest, ShardPlan
from pipeline.dataset.mark import read_mark, write_mark
from pipeline.dataset.reader import Dataset
from pipeline.dataset.state import State
from pipeline.dataset.writer import write_shard
from pipeline.utterance import Reason, Rejection


def columns_now(dataset: Dataset, manifest: Manifest) -> list[str]:
    """Return the columns of the shards made next: those fixed before, else what the planned rows fill."""
    mark, done = read_mark(manifest.folder), dataset.states()
    if mark is None and done:
        return done[0].columns
    if mark is not None and mark.columns is not None:
        return mark.columns
    missing = manifest.columns_without_values(rows.OPTIONAL)
    return [name for name in rows.SCHEMA.names if name not in missing]


def settle_columns(dataset: Dataset) -> None:
    """Give every shard of a dataset whose plan is complete the same columns, and take the plan's mark off."""
    if read_mark(dataset.root / "manifest") is None:
        return
    manifest = Manifest(dataset.root / "manifest")
    columns = columns_now(dataset, manifest)
    other = [state for state in dataset.states() if state.columns != columns]
    for state in other:
        _rewrite(dataset, state, manifest.shards[state.shard], columns)
    dataset.reread(state.shard for state in other)
    write_mark(manifest.folder, None)


def _rewrite(dataset: Dataset, state: State, plan: ShardPlan, columns: list[str]) -> None:
    """Write a finished shard again with these columns, their values as planned where it did not have them."""
    schema, table = rows.schema(columns), dataset.table(state.shard)
    planned = {row.utterance.id: row for row in plan.rows_read() if row.reason is None}
    kept = [planned[name] for name in table["id"].to_pylist()]
    arrays = [
        table[field.name]
        if field.name in table.column_names
        else pa.array([row.value(field.name) for row in kept], field.type)
        for field in schema
    ]
    files = dataset.files(state.shard)
    with files.rejected.open(encoding="utf-8") as file:
        rejections = [
            Rejection(**{**entry, "reason": Reason(entry["reason"])}) for entry in map(json.loads, file)
        ]
    marks = {"inputs": state.inputs, "codec": state.codec, "timings": dict(state.timings)}
    write_shard(files, pa.Table.from_arrays(arrays, schema=schema), rejections, marks)
