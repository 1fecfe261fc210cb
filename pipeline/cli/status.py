"""Print how far a dataset is; --verify checks every file against the checksum in its state."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from pipeline.dataset.reader import Dataset


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the dataset and --verify."""
    parser.add_argument("output", metavar="OUT", help="folder of a dataset, finished or under way")
    parser.add_argument("--verify", action="store_true", help="read every file and compare its checksum")


def run(arguments: argparse.Namespace) -> int:
    """Print counts; with --verify, raise PipelineError if a file is not what was written."""
    from pipeline.dataset.folder import unfinished
    from pipeline.dataset.manifest import Manifest
    from pipeline.dataset.reader import Dataset

    dataset = Dataset(arguments.output)
    manifest = Manifest(dataset.root / "manifest")
    stats = dataset.stats()
    left = unfinished(dataset, manifest)
    print(f"{dataset.root}: {len(manifest.shards) - len(left):,} of {len(manifest.shards):,} shards done")
    print(f"{manifest.rows:,} utterances planned, {sum(shard.rows for shard in left):,} to do")
    print(f"{stats['rows']:,} rows, {stats['hours']:.2f} hours, {stats['rejected']:,} rejected")
    for reason, number in stats["reasons"].items():
        print(f"  {number:,} {reason}")
    if arguments.verify:
        faults = list(verify(dataset))
        if faults:
            raise PipelineError(
                f"{len(faults)} files are not as they were written: {'; '.join(faults[:5])}. "
                "Delete the state files of their shards and run create again"
            )
        print("every file is as it was written")
    return 0


def verify(dataset: Dataset) -> Iterator[str]:
    """Return a sentence for each file that is missing or whose bytes are not those of its state."""
    from pipeline.storage.files import checksum

    for state in dataset.states():
        for name, written in state.files.items():
            path = dataset.root / name
            if not path.exists():
                yield f"{name} is missing"
            elif checksum(path) != written["sha256"]:
                yield f"{name} has changed"
