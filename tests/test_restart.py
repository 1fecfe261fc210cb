"""Opening a dataset of many shards again is cheap: chunks are read once, and states of a store in bulk."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from engine_helpers import build_corpus, make, settings_for

from pipeline.dataset import manifest as manifests
from pipeline.dataset.manifest import Manifest
from pipeline.dataset.state_index import INDEX, WORTH, read_states

SHARDS = WORTH + 20


class Store:
    """A bucket of fsspec's memory, whose objects have versions, and the objects that were read from it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from fsspec.implementations.memory import MemoryFileSystem

        from pipeline.storage.paths import resolve_path

        self.folder = resolve_path("memory://dataset/state")
        self.fs = MemoryFileSystem()
        self.fs.store.clear()
        self.reads: Counter[str] = Counter()
        read, listed = MemoryFileSystem.cat_file, MemoryFileSystem.ls

        def counted(fs: MemoryFileSystem, path: str, *arguments: object, **options: object) -> bytes:
            self.reads[path.rpartition("/")[2]] += 1
            return read(fs, path, *arguments, **options)

        def versioned(fs: MemoryFileSystem, path: str, detail: bool = True, **options: object) -> list:
            found = listed(fs, path, detail=True, **options)
            for each in found:
                if each["type"] == "file":
                    each["ETag"] = str(hash(fs.store[each["name"]].getvalue()))
            return found if detail else [each["name"] for each in found]

        monkeypatch.setattr(MemoryFileSystem, "cat_file", counted)
        monkeypatch.setattr(MemoryFileSystem, "ls", versioned)
        for number in range(SHARDS):
            self.put(number, f"first {number}")

    def put(self, number: int, text: str) -> None:
        self.fs.pipe_file(f"/dataset/state/train-{number:05d}.json", text.encode())


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Store:
    pytest.importorskip("upath")
    return Store(monkeypatch)


def states_of(bucket: Store) -> dict[str, bytes]:
    bucket.reads.clear()
    return read_states(bucket.folder, "train", may_write=True)


def test_states_in_a_store_are_read_from_one_object_once_a_run_has_read_them(bucket: Store) -> None:
    first = states_of(bucket)
    assert len(first) == SHARDS
    assert sum(bucket.reads.values()) >= SHARDS
    assert states_of(bucket) == first
    assert not [name for name in bucket.reads if name.startswith("train-")]


def test_a_state_that_changed_or_is_new_or_gone_since_the_index_was_written_is_read_as_it_is(
    bucket: Store,
) -> None:
    states_of(bucket)
    bucket.put(7, "second 7")
    bucket.put(SHARDS, "a new one")
    bucket.fs.rm("/dataset/state/train-00003.json")
    found = states_of(bucket)
    assert found["train-00007.json"] == b"second 7"
    assert found[f"train-{SHARDS:05d}.json"] == b"a new one"
    assert "train-00003.json" not in found
    assert sum(name.startswith("train-") for name in bucket.reads) == 2


@pytest.mark.parametrize(
    "damage",
    [b"", b"no gzip", gzip.compress(b"[1]"), gzip.compress(b"{")[:-4]],
    ids=["empty", "no gzip", "a list", "cut off"],  # by themselves they would hold the time of collection
)
def test_a_damaged_index_costs_time_alone_and_is_written_again(bucket: Store, damage: bytes) -> None:
    whole = states_of(bucket)
    bucket.fs.pipe_file(f"/dataset/state/{INDEX}", damage)
    assert states_of(bucket) == whole
    assert states_of(bucket) == whole
    assert not [name for name in bucket.reads if name.startswith("train-")]


def test_who_only_reads_a_dataset_writes_no_index(bucket: Store) -> None:
    read_states(bucket.folder, "train")
    assert not bucket.fs.exists(f"/dataset/state/{INDEX}")


def test_all_rows_of_a_manifest_are_read_with_each_chunk_opened_once(
    tmp_path: Path, make_clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(tmp_path / "out", settings_for(build_corpus(tmp_path, make_clip), **{"output.shard_size": 1}))
    manifest = Manifest(root / "manifest")
    one_by_one = [row for shard in manifest.shards for row in shard.rows_read()]
    opened: list[str] = []
    real = manifests._opened

    def noted(path: Path) -> object:
        opened.append(path.name)
        return real(path)

    monkeypatch.setattr(manifests, "_opened", noted)
    assert list(manifest.read_rows()) == one_by_one
    assert opened == [chunk.name for chunk in manifest.chunks]
    assert len(manifest.shards) == json.loads((root / "stats.json").read_text())["shards"] > len(opened)


def test_a_run_imports_no_torch_before_there_is_a_shard_to_make() -> None:
    loads = "import sys, pipeline.build.dataset, pipeline.build.ranks; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", loads], cwd=Path(__file__).parents[1], check=True)
