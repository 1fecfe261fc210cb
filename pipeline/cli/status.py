"""Print how far a dataset is; --verify reads every file and compares it with what was written.

python -m pipeline status out/ --verify
"""

from __future__ import annotations

import argparse

from pipeline.errors import PipelineError

SHOWN = 5  # faults named in the error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the dataset and --verify."""
    parser.add_argument(
        "output", metavar="OUT", help="folder of a dataset, or its name.jsonl, finished or under way"
    )
    parser.add_argument(
        "--verify", action="store_true", help="read every file and compare it with what was written"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print counts; with --verify, raise PipelineError if a file is not what was written."""
    from pipeline.dataset.folder import unfinished
    from pipeline.dataset.manifest import Manifest
    from pipeline.dataset.reader import Dataset
    from pipeline.dataset.single_file import dataset_folder
    from pipeline.dataset.summary import all_faults
    from pipeline.storage.paths import resolve_path

    output = resolve_path(arguments.output)
    dataset = Dataset(dataset_folder(output))
    if arguments.verify and (faults := list(all_faults(dataset, output))):
        more = f"; and {len(faults) - SHOWN:,} more" if len(faults) > SHOWN else ""
        raise PipelineError(
            f"{dataset.root} is not as it was written: {'; '.join(faults[:SHOWN])}{more}. Run "
            "create_dataset.py on it again, which makes what is missing or cut short; first delete the state"
            " of a shard that has changed"
        )
    manifest = Manifest(dataset.root / "manifest")
    stats = dataset.stats()
    left = unfinished(dataset, manifest)
    print(f"{dataset.root}: {len(manifest.shards) - len(left):,} of {len(manifest.shards):,} shards done")
    print(f"{manifest.rows:,} utterances planned, {sum(shard.rows for shard in left):,} to do")
    print(f"{stats['rows']:,} rows, {stats['hours']:.2f} hours, {stats['rejected']:,} rejected")
    for reason, number in stats["reasons"].items():
        print(f"  {number:,} {reason}")
    if arguments.verify:
        print("every file is as it was written")
    return 0
