"""Read the corpus, probe the audio by its headers and write the manifest, without encoding anything.

python -m pipeline plan clips/ metadata.csv -o out/
"""

from __future__ import annotations

import argparse

from pipeline.cli.create import add_run_arguments, settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `create` that name corpus and output."""
    add_run_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Plan, or bring an earlier plan up to date."""
    from pipeline.build.create import make_plan
    from pipeline.dataset.folder import check_output, unfinished
    from pipeline.dataset.single_file import dataset_folder
    from pipeline.progress import plural
    from pipeline.storage.claims import claimed
    from pipeline.storage.paths import resolve_path

    settings = settings_of(arguments)
    output = resolve_path(arguments.output)
    root = dataset_folder(output)
    check_output(output, settings)
    with claimed(root):
        planned = make_plan(root, settings, print)
    manifest = planned.manifest
    left = len(unfinished(planned.dataset, manifest))
    print(f"{root}: {plural(len(manifest.shards), 'shard')}, {left:,} of them to do")
    return 0
