"""Describes the rows to the `datasets` library: in a card's front matter, and beside Arrow shards.

Both are written without importing `datasets`; tests read them back with it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from pipeline.dataset.reader import Dataset
from pipeline.dataset.rows import OPTIONAL, SCHEMA, schema

DTYPES = {pa.string(): "string", pa.float64(): "float64", pa.int32(): "int32", pa.uint16(): "uint16"}


def yaml_features(names: Sequence[str], embeds_audio: bool) -> list[dict[str, Any]]:
    """Return the `features` of a card's `dataset_info`, for these columns of `rows.SCHEMA`."""

    def described(field: pa.Field) -> dict[str, Any]:
        if field.name == "audio" and embeds_audio:
            return {"name": "audio", "dtype": "audio"}
        if pa.types.is_list(field.type):
            return {"name": field.name, "list": DTYPES[field.type.value_type]}
        return {"name": field.name, "dtype": DTYPES[field.type]}

    return [described(field) for field in schema(names)]


def columns(dataset: Dataset) -> tuple[str, ...]:
    """Return the columns of the finished shards' rows, in the order of `rows.SCHEMA`."""
    found = {name for state in dataset.states() for name in state.columns if state.rows}
    found = found or set(SCHEMA.names) - set(OPTIONAL)
    return tuple(name for name in SCHEMA.names if name in found)


def disk_index(dataset: Dataset) -> dict[str, str]:
    """Return the files, by path, that make `datasets.load_from_disk(OUT/data)` work on Arrow shards.

    They list the finished shards, and lie in `data/`, because `load_dataset` refuses a folder that has a
    `state.json`. Other formats need none.
    """
    if dataset.form != "arrow":
        return {}
    index: dict[str, Any] = {
        "_data_files": [{"filename": dataset.files(state.shard).data.name} for state in dataset.states()],
        "_fingerprint": dataset.digest()[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": dataset.split,
    }
    info = {
        "citation": "",
        "description": "",
        "features": {field.name: _json_feature(field.type) for field in schema(columns(dataset))},
        "homepage": "",
        "license": "",
    }
    described = {"data/dataset_info.json": info, "data/state.json": index}
    return {path: json.dumps(content, indent=2) + "\n" for path, content in described.items()}


def _json_feature(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_list(kind):
        return {"feature": _json_feature(kind.value_type), "_type": "List"}
    return {"dtype": DTYPES[kind], "_type": "Value"}
