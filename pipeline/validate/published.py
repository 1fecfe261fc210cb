"""Turns a dataset that was published as Parquet files into a folder that validation reads like any other.

A publication leaves out states and manifest. What they would say is taken from the files and from
`stats.json`, and embedded recordings become files again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from pipeline.dataset.reader import Dataset, read_config
from pipeline.dataset.rows import SCHEMA
from pipeline.dataset.state import State
from pipeline.errors import UsageError
from pipeline.storage.files import replacing, write_text
from pipeline.storage.paths import is_url

RECORDINGS = "recordings"  # folder of the recordings that were embedded


def import_published(fetched: Path, root: Path) -> Dataset:
    """Make `root` a dataset of what was fetched into another folder; what was made before is kept.

    Raises UsageError if that is no publication of this pipeline.
    """
    try:
        content, output = read_config(fetched)
        stats = json.loads((fetched / "stats.json").read_text(encoding="utf-8"))
        content["settings"]["output"]["format"] = "parquet"
        split, codec = output.split, stats["codecs"][0]
    except (OSError, KeyError, TypeError, IndexError, ValueError) as error:
        raise UsageError(
            f"what is in {fetched} was not published by this pipeline: it needs config.yaml and stats.json"
        ) from error
    _keep_here(content["settings"]["corpus"])
    write_text(root / "config.yaml", yaml.safe_dump(content, allow_unicode=True))
    for shard, path in enumerate(sorted((fetched / "data").glob(f"{split}-*.parquet"))):
        target = root / "data" / f"{split}-{shard:05d}.parquet"
        state = root / "state" / f"{split}-{shard:05d}.json"
        if not state.exists() or json.loads(state.read_text())["inputs"] != _inputs(path):
            _unpack(path, target, root / RECORDINGS)
            rejected = stats["rejected"] if shard == 0 else 0
            write_text(state, json.dumps(dataclasses.asdict(_state(shard, path, target, codec, rejected))))
    return Dataset(root)


def _keep_here(corpus: dict[str, Any]) -> None:
    """Take out of a stranger's settings whatever would send requests or read outside of a folder."""
    for key in ("audio", "text", "cache", "exclude"):
        value = str(corpus.get(key) or "")
        if is_url(value) or Path(value).is_absolute() or ".." in Path(value).parts:
            corpus[key] = None
    corpus.pop("allow_remote", None)


def _inputs(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _state(shard: int, path: Path, target: Path, codec: dict[str, Any], rejected: int) -> State:
    """Return what the pipeline would have written of a shard, as far as its rows tell."""
    table = pq.read_table(target, columns=["code", "duration"])
    return State(
        shard=shard,
        inputs=_inputs(path),
        columns=pq.read_schema(target).names,
        rows=len(table),
        rejected=rejected,
        reasons={},
        seconds=pc.sum(table["duration"]).as_py() or 0.0,
        codes=pc.sum(pc.list_value_length(table["code"])).as_py() or 0,
        codec=codec,
        files={},
        timings={},
        distributions={},
    )


def _unpack(path: Path, target: Path, recordings: Path) -> None:
    """Copy a file of rows; where recordings are embedded, write them and leave their names in the rows."""
    source = pq.ParquetFile(path)
    with source, replacing(target) as temporary:
        if not pa.types.is_struct(source.schema_arrow.field("audio").type):
            shutil.copyfile(path, temporary)
            return
        audio = SCHEMA.get_field_index("audio")
        fields = [field for field in source.schema_arrow if field.name != "audio"]
        with pq.ParquetWriter(temporary, pa.schema([*fields, SCHEMA.field(audio)])) as writer:
            for number in range(source.num_row_groups):
                table = source.read_row_group(number)
                names = [_write(recordings, one) for one in table["audio"].to_pylist()]
                table = table.drop_columns("audio").append_column("audio", pa.array(names, pa.string()))
                writer.write_table(table)


def _write(folder: Path, recording: dict[str, Any]) -> str:
    """Write an embedded recording below `folder` and return its path in it. It cannot leave the folder."""
    parts = [part for part in PurePosixPath(recording["path"]).parts if part not in ("/", "..")]
    path = folder.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(recording["bytes"])
    return PurePosixPath(*parts).as_posix()
