"""Reads a dataset folder, finished or under way: settings, states, rows and rejections."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from pipeline.dataset import rows
from pipeline.dataset.state import ShardFiles, State
from pipeline.dataset.stats import totals
from pipeline.errors import UsageError
from pipeline.storage.paths import is_remote, local, resolve_path, texts


class Dataset:
    """A dataset folder, finished or under way, to read: its settings, shards, rows and rejections."""

    def __init__(self, root: Path | str) -> None:
        """Open `root`, a path or URL. Raises UsageError if it is no dataset of this pipeline."""
        self.root = resolve_path(root)
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
        self._states: dict[int, State] | None = None

    def files(self, shard: int) -> ShardFiles:
        """Return where shard number `shard` lies."""
        return ShardFiles(self.root, self.split, self.form, shard, self._writer)

    def written_by(self, writer: str) -> Dataset:
        """Return the same dataset for one of several writers; see `files.replacing`."""
        same = copy.copy(self)
        same._writer = writer
        return same

    def at(self, root: Path) -> Dataset:
        """Return the same dataset under another path."""
        same = copy.copy(self)
        same.root = root
        return same

    def states(self) -> list[State]:
        """Return the states of the finished shards, in order: read once, then as `reread` leaves them."""
        if self._states is None:
            contents = texts(self.root / "state", f"{self.split}-*.json")
            found = [State(**json.loads(content)) for content in contents]
            self._states = {state.shard: state for state in found}
        return [self._states[shard] for shard in sorted(self._states)]

    def stats(self) -> dict[str, Any]:
        """Return counts, hours, rejections, distributions and throughput of the finished shards."""
        return totals(self.states())

    def reread(self, shards: Iterable[int]) -> None:
        """Read the states of these shards again, which were made since; one without a state is not done."""
        if self._states is None or is_remote(self.root):  # a store reads many at once as fast as one
            self._states = None
            return
        for shard in shards:
            self._states.pop(shard, None)
            if (state := self.files(shard).read_state()) is not None:
                self._states[shard] = state

    def table(self, shard: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Read one finished shard in manifest order: all its columns (of `rows.SCHEMA`), or `columns`."""
        state = next((state for state in self.states() if state.shard == shard), None)
        if state is None:
            raise UsageError(f"shard {shard} of {self.root} is not finished: run create_dataset.py again")
        return self._read(state, columns)

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield a table for each finished shard, one in memory at a time."""
        for state in self.states():
            yield self._read(state, columns)

    def _read(self, state: State, columns: Sequence[str] | None) -> pa.Table:
        with local(self.files(state.shard).data) as path:
            return rows.read(path, self.form, columns or state.columns)

    def rejections(self) -> Iterator[dict[str, str]]:
        """Yield rejected utterances of every finished shard: id, audio, reason, detail."""
        for state in self.states():
            with self.files(state.shard).rejected.open(encoding="utf-8") as file:
                yield from map(json.loads, file)
