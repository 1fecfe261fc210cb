"""Writes a shard: its rows and rejections durably, and then its state, which marks it as done."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute

from pipeline.dataset import rows
from pipeline.dataset.state import ShardFiles, State
from pipeline.dataset.stats import distributions
from pipeline.storage.files import checksum, remove, replacing, write_text
from pipeline.utterance import Rejection


def write_shard(
    files: ShardFiles, table: pa.Table, rejections: Sequence[Rejection], marks: dict[str, Any]
) -> State:
    """Write a shard's rows and rejections durably, then its state, and return that.

    `marks` holds the fields of `State` that are not derived from the rows: inputs, codec, timings. The time
    of writing is added to the timings.
    """
    started = time.perf_counter()
    remove(files.state)  # a shard that is redone is not done while it is rewritten
    written = {}
    with replacing(files.data, files.writer) as temporary:
        rows.write(temporary, table, files.form)
        written[files.data] = _measured(temporary)
    with replacing(files.rejected, files.writer) as temporary:
        temporary.write_text("".join(_line(r) for r in rejections), encoding="utf-8")
        written[files.rejected] = _measured(temporary)
    reasons: dict[str, int] = {}
    for rejection in rejections:
        reasons[rejection.reason] = reasons.get(rejection.reason, 0) + 1
    timings = marks["timings"]
    timings["write"] = round(timings.get("write", 0.0) + time.perf_counter() - started, 3)
    state = State(
        shard=files.shard,
        columns=table.column_names,
        rows=len(table),
        rejected=len(rejections),
        reasons=dict(sorted(reasons.items())),
        seconds=round(sum(table["duration"].to_pylist()), 6),
        codes=pyarrow.compute.sum(pyarrow.compute.list_value_length(table["code"])).as_py() or 0,
        distributions=distributions(table),
        files={f"{path.parent.name}/{path.name}": measured for path, measured in written.items()},
        **marks,
    )
    write_text(files.state, json.dumps(dataclasses.asdict(state), indent=1, sort_keys=True) + "\n")
    return state


def _measured(path: Path) -> dict[str, Any]:
    return {"sha256": checksum(path), "bytes": path.stat().st_size}


def _line(rejection: Rejection) -> str:
    return json.dumps(dataclasses.asdict(rejection), ensure_ascii=False) + "\n"
