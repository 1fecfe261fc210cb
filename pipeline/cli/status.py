"""Print how far a dataset is; --verify reads every file and compares it with what was written.

python -m pipeline status out/ --verify
python -m pipeline status out/ --json
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from pipeline.cli.output import add_json, printing_json
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
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print counts; with --verify, raise PipelineError if a file is not what was written."""
    from pipeline.dataset.folder import unfinished
    from pipeline.dataset.manifest import Manifest
    from pipeline.dataset.mark import is_growing
    from pipeline.dataset.reader import Dataset
    from pipeline.dataset.single_file import dataset_folder
    from pipeline.dataset.summary import all_faults
    from pipeline.storage.paths import resolve_path

    output = resolve_path(arguments.output)
    with printing_json(arguments.json) as emit:
        dataset = Dataset(dataset_folder(output))
        faults = list(all_faults(dataset, output)) if arguments.verify else None
        if faults and arguments.json:
            emit({"dataset": str(dataset.root), "faults": faults})
        if faults:
            raise _damage(str(dataset.root), faults)
        manifest, stats = Manifest(dataset.root / "manifest"), dataset.stats()
        left = unfinished(dataset, manifest)
        planned = not is_growing(dataset.root / "manifest")
        found = {
            "dataset": str(dataset.root),
            "complete": planned and not left,
            "planned": planned,
            "shards": len(manifest.shards),
            "shards_done": len(manifest.shards) - len(left),
            "utterances": manifest.rows,
            "utterances_to_do": sum(shard.rows for shard in left),
            **{name: stats[name] for name in ("rows", "hours", "codes", "rejected", "reasons")},
            "faults": faults,
        }
        if arguments.json:
            emit(found)
        else:
            _tell(found)
    return 0


def _damage(root: str, faults: list[str]) -> PipelineError:
    more = f"; and {len(faults) - SHOWN:,} more" if len(faults) > SHOWN else ""
    return PipelineError(
        f"{root} is not as it was written: {'; '.join(faults[:SHOWN])}{more}. Run `create` on it "
        "again, which makes what is missing or cut short; first delete the state of a shard that has changed"
    )


def _tell(found: Mapping[str, Any]) -> None:
    from pipeline.dataset.stats import spoken_time
    from pipeline.progress import plural

    least = "" if found["planned"] else "at least "  # planning runs ahead of the work, and is not at its end
    print(f"{found['dataset']}: {found['shards_done']:,} of {least}{plural(found['shards'], 'shard')} done")
    planned = plural(found["utterances"], "utterance")
    print(f"{least}{planned} planned, {found['utterances_to_do']:,} to do")
    print(f"{plural(found['rows'], 'row')}, {spoken_time(found['hours'])}, {found['rejected']:,} rejected")
    for reason, number in found["reasons"].items():
        print(f"  {number:,} {reason}")
    if found["faults"] is not None:
        print("every file is as it was written")
