"""Shards on disk: write one, mark it done, read a dataset back.

A shard is `data/{name}.{format}`, `rejected/{name}.jsonl` and, written last, `state/{name}.json`. A state
that exists and names the digest of the shard's manifest rows means that the shard is done.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import yaml

from pipeline.dataset import rows
from pipeline.dataset.stats import distributions
from pipeline.errors import UsageError
from pipeline.storage.files import checksum, replacing, write_text
from pipeline.storage.paths import local, place, texts
from pipeline.utterance import Rejection


@dataclass(frozen=True)
class State:
    """What `state/{name}.json` says of a finished shard."""

    shard: int
    inputs: str  # digest of the manifest rows it was made from
    columns: list[str]
    rows: int
    rejected: int
    reasons: dict[str, int]  # rejections by reason
    seconds: float  # of audio in the rows
    codes: int
    codec: dict[str, Any]  # name, licence, fingerprint, sample_rate, hop_length, codebook_size, precision
    files: dict[str, dict[str, Any]]  # path in the dataset: sha256, bytes
    timings: dict[str, float]  # seconds by stage
    distributions: dict[str, dict[str, float]]  # see pipeline.dataset.stats.distributions


@dataclass(frozen=True)
class ShardFiles:
    """Where the parts of a shard lie below the dataset's folder."""

    root: Path
    split: str
    form: str
    shard: int
    writer: str = ""  # see `files.replacing`

    @property
    def name(self) -> str:
        """`{split}-00000`."""
        return f"{self.split}-{self.shard:05d}"

    @property
    def data(self) -> Path:
        """Rows."""
        return self.root / "data" / f"{self.name}.{self.form}"

    @property
    def rejected(self) -> Path:
        """Rejections, one JSON object a line."""
        return self.root / "rejected" / f"{self.name}.jsonl"

    @property
    def state(self) -> Path:
        """The mark that the shard is done."""
        return self.root / "state" / f"{self.name}.json"

    def read_state(self) -> State | None:
        """The state, or None when the shard is not done."""
        try:
            return State(**json.loads(self.state.read_text()))
        except FileNotFoundError:
            return None


def write_shard(
    files: ShardFiles, table: pa.Table, rejections: Sequence[Rejection], marks: dict[str, Any]
) -> State:
    """Write a shard's rows and rejections durably, then its state, and return that.

    `marks` holds the fields of `State` that are not derived from the rows: inputs, codec, timings.
    """
    files.state.unlink(missing_ok=True)  # a shard that is redone is not done while it is rewritten
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


class Dataset:
    """A dataset folder, finished or under way, to read: its settings, shards, rows and rejections."""

    def __init__(self, root: Path | str) -> None:
        """UsageError when `root` is no dataset of this pipeline."""
        self.root = place(root)
        try:
            content = yaml.safe_load((self.root / "config.yaml").read_text(encoding="utf-8"))
            self.settings: dict[str, Any] = content["settings"]
            self.fingerprint: str = content["fingerprint"]
        except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
            raise UsageError(
                f"{self.root} is not a dataset made by create_dataset.py: no readable config.yaml"
            ) from error
        self.form: str = self.settings["output"]["format"]
        self.split: str = self.settings["output"]["split"]
        self._writer = ""

    def files(self, shard: int) -> ShardFiles:
        """Where shard number `shard` lies."""
        return ShardFiles(self.root, self.split, self.form, shard, self._writer)

    def written_by(self, writer: str) -> Dataset:
        """The same dataset for one of several writers; see `files.replacing`."""
        same = copy.copy(self)
        same._writer = writer
        return same

    def at(self, root: Path) -> Dataset:
        """The same dataset, its folder named in another way."""
        same = copy.copy(self)
        same.root = root
        return same

    def states(self) -> list[State]:
        """States of the finished shards, in order."""
        contents = texts(self.root / "state", f"{self.split}-*.json")
        found = [State(**json.loads(content)) for content in contents]
        return sorted(found, key=lambda state: state.shard)

    def table(self, shard: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of one finished shard, in manifest order: all its columns (of `rows.SCHEMA`), or `columns`."""
        state = self.files(shard).read_state()
        if state is None:
            raise UsageError(f"shard {shard} of {self.root} is not finished: run create_dataset.py again")
        return self._read(state, columns)

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Rows of every finished shard, a table a shard, one in memory at a time."""
        for state in self.states():
            yield self._read(state, columns)

    def _read(self, state: State, columns: Sequence[str] | None) -> pa.Table:
        with local(self.files(state.shard).data) as path:
            return rows.read(path, self.form, columns or state.columns)

    def rejections(self) -> Iterator[dict[str, str]]:
        """Rejected utterances of every finished shard: id, audio, reason, detail."""
        for state in self.states():
            with self.files(state.shard).rejected.open(encoding="utf-8") as file:
                yield from map(json.loads, file)
