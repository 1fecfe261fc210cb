"""Reads a dataset folder, finished or under way: settings, states, rows and rejections."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from pipeline.config import CorpusSettings, OutputSettings, read_yaml
from pipeline.dataset import rows
from pipeline.dataset.manifest import Manifest
from pipeline.dataset.mark import read_mark
from pipeline.dataset.state import ShardFiles, State, digest_of, parse_state
from pipeline.dataset.state_index import read_states
from pipeline.dataset.stats import totals
from pipeline.errors import UsageError, naming
from pipeline.progress import plural
from pipeline.runtime import find_file
from pipeline.storage.paths import is_remote, is_url, local, resolve_path, sizes

ANNOTATIONS = "annotations"
AGAIN = "run `create` on it again, which makes what is missing"


def read_config(root: Path) -> tuple[dict[str, Any], OutputSettings]:
    """Return what the `config.yaml` of a dataset says: `fingerprint` and `settings`; and those of its files.

    Raises UsageError if there is none, or it is not one that this pipeline writes.
    """
    path = root / "config.yaml"
    if not path.exists():
        raise UsageError(f"{root} is not a dataset that `create` made: it has no config.yaml")
    content = read_yaml(path, "dataset's configuration")
    try:
        if not isinstance(content["settings"]["corpus"], dict) or not isinstance(content["fingerprint"], str):
            raise TypeError("not sections and a name")
        output = OutputSettings.model_validate(content["settings"]["output"])  # it names files: nothing odd
    except (KeyError, TypeError, ValidationError) as error:
        raise UsageError(f"{path} is not one that `create` wrote, or has changed") from error
    return content, output


def _on_disk(name: str | None) -> str | None:
    """Return the name, unless opening it would ask a store, or the Hub for `owner/name`."""
    elsewhere = name is not None and (is_url(name) or (name.count("/") == 1 and find_file(name) is None))
    return None if elsewhere else name


class Dataset:
    """A dataset folder, finished or under way, to read: its settings, shards, rows and rejections."""

    def __init__(self, root: Path | str) -> None:
        """Open `root`, a path or URL. Raises UsageError if it is no dataset of this pipeline."""
        self.root = resolve_path(root)
        content, output = read_config(self.root)
        self.settings: dict[str, Any] = content["settings"]
        self.fingerprint: str = content["fingerprint"]
        self.form: str = output.format
        self.split: str = output.split
        self.held = False  # by a run, which may then write to it
        self._writer = ""
        self._states: dict[int, State] | None = None
        self._damaged: list[str] = []  # names of state files that cannot be read

    def corpus(self, audio: str | Path | None = None, text: str | Path | None = None) -> CorpusSettings:
        """Return the settings of the corpus it was made of, with `audio` and `text` for its own if given.

        A folder and its `config.yaml` may come from strangers. So what is named there in a store or on the
        Hub is left out: those are asked only for what the user names.
        """
        own = CorpusSettings.model_validate(self.settings["corpus"])
        here = {"audio": _on_disk(own.audio), "text": _on_disk(own.text), "allow_remote": False}
        given = {"audio": audio, "text": text}
        return own.model_copy(update=here | {key: str(path) for key, path in given.items() if path})

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
        """Return the states of the finished shards, in order: read once, then as `reread` leaves them.

        Raises UsageError if one is damaged.
        """
        readable = self._read_states()
        if self._damaged:
            raise UsageError(f"{self.root}: state/{self._damaged[0]} is damaged: {AGAIN}")
        return [readable[shard] for shard in sorted(readable)]

    def _read_states(self) -> dict[int, State]:
        if self._states is None:
            self._states, self._damaged = {}, []
            found = read_states(self.root / "state", self.split, may_write=self.held)
            for name, content in sorted(found.items()):
                try:
                    state = parse_state(content)
                except ValueError:
                    self._damaged.append(name)
                    continue
                if f"{self.files(state.shard).name}.json" == name:
                    self._states[state.shard] = state
                else:
                    self._damaged.append(name)
        return self._states

    def stats(self) -> dict[str, Any]:
        """Return counts, hours, rejections, distributions and throughput of the finished shards."""
        return totals(self.states())

    def annotators(self) -> list[str]:
        """Return the names of the annotators whose figures lie beside the shards."""
        try:
            return sorted(path.name for path in (self.root / ANNOTATIONS).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def digest(self) -> str:
        """Return a digest of the finished shards' files, for what is made from them."""
        return digest_of(self.states())

    def reread_all(self) -> None:
        """Forget the states, some of which have changed."""
        self._states = None

    def reread(self, shards: Iterable[int]) -> None:
        """Read the states of these shards again, which were made since; one without a state is not done."""
        for shard in shards:
            if self._states is None or is_remote(self.root):  # a store reads many at once as fast as one
                self._states = None
                return
            self._states.pop(shard, None)
            if (state := self.files(shard).read_state()) is not None:
                self._states[shard] = state

    def check_files(self) -> None:
        """Check that every planned shard is done and each of its files there, with the bytes it should have.

        Costs two listings and no reading of rows. Raises UsageError that names the first file amiss.
        """
        for fault, _ in self.faults():
            raise UsageError(f"{self.root}: {fault}: {AGAIN}")
        manifest, done = Manifest(self.root / "manifest"), self._read_states()
        for plan in manifest.shards:
            if plan.shard not in done:
                raise UsageError(f"{self.root}: shard {plan.shard} is not finished: {AGAIN}")
        if read_mark(manifest.folder) is not None:
            raise UsageError(f"{self.root}: it is not finished: {AGAIN}")
        if not manifest.shards and any(state.files for state in done.values()):
            raise UsageError(f"{self.root}: its manifest is missing: {AGAIN}")

    def faults(self) -> Iterator[tuple[str, Path]]:
        """Yield what is amiss with the files of finished shards, and the state file of the shard.

        Seen are states that cannot be read, and files that are missing or not as long as they were written.
        """
        done = self._read_states()
        for name in self._damaged:
            yield f"state/{name} is damaged", self.root / "state" / name
        there = {folder: sizes(self.root / folder) for folder in ("data", "rejected")}
        for shard in sorted(done):
            for path, written in done[shard].files.items():
                folder, _, name = path.partition("/")
                found = there.get(folder, {}).get(name)
                if found is None:
                    yield f"{path} is missing", self.files(shard).state
                elif found != written.get("bytes"):
                    yield f"{path} is not as long as it was written", self.files(shard).state

    def table(self, shard: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Read one finished shard in manifest order: all its columns (of `rows.SCHEMA`), or `columns`.

        Raises UsageError, which names the file, if it is not finished, missing, damaged or lacks rows.
        """
        self.states()
        state = (self._states or {}).get(shard)
        if state is None:
            raise UsageError(f"shard {shard} of {self.root} is not finished: run `create` again")
        return self._read(state, columns)

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield a table for each finished shard, one in memory at a time. Raises as `table` does."""
        for state in self.states():
            yield self._read(state, columns)

    def _read(self, state: State, columns: Sequence[str] | None) -> pa.Table:
        path = self.files(state.shard).data
        try:
            with naming(path), local(path) as copy_here:
                table = rows.read(copy_here, self.form, columns or state.columns)
        except FileNotFoundError as error:
            raise self._damage(state, path, "is missing") from error
        except (OSError, ValueError, KeyError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk, not the file; pyarrow's OSErrors about content have no number
            raise self._damage(state, path, f"cannot be read ({' '.join(str(error).split())})") from error
        if len(table) != state.rows:
            raise self._damage(
                state, path, f"has {plural(len(table), 'row')}, not the {state.rows:,} written"
            )
        return table

    def rejections(self) -> Iterator[dict[str, str]]:
        """Yield rejected utterances of every finished shard: id, audio, reason, detail.

        Raises UsageError, which names the file, if one is missing, damaged or lacks rejections.
        """
        for state in self.states():
            path = self.files(state.shard).rejected
            count = 0
            try:
                with naming(path), path.open(encoding="utf-8") as file:
                    for line in file:
                        count += 1
                        yield json.loads(line)
            except FileNotFoundError as error:
                raise self._damage(state, path, "is missing") from error
            except ValueError as error:
                raise self._damage(state, path, f"cannot be read ({error})") from error
            if count != state.rejected:
                raise self._damage(
                    state, path, f"has {plural(count, 'line')}, not the {state.rejected:,} written"
                )

    def _damage(self, state: State, path: Path, what: str) -> UsageError:
        mark = f"state/{self.files(state.shard).state.name}"
        return UsageError(f"{path} {what}: delete {mark} and run `create` again, which makes the shard anew")
