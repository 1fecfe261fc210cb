"""Publish a dataset on the Hugging Face Hub: Parquet files that load_dataset reads, with a card.

A push that was cut off is finished by the same command; only what is new is sent.
"""

from __future__ import annotations

import argparse

EPILOG = """\
examples:
  hf auth login
  python -m pipeline push out/ USER/NAME --private
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the dataset, the repository and what goes there."""
    parser.epilog = EPILOG
    parser.add_argument("dataset", metavar="OUT", help="folder of a dataset")
    parser.add_argument("repository", metavar="USER/NAME", help="where it goes; made if it is missing")
    parser.add_argument("--private", action="store_true", help="make the repository private")
    parser.add_argument("--revision", metavar="BRANCH", help="branch, made if it is missing [main]")
    parser.add_argument("--embed-audio", action="store_true", help="publish the recordings too")
    parser.add_argument("--audio", metavar="DIR", help="where the recordings are, if moved or in a store")


def run(arguments: argparse.Namespace) -> int:
    """Push, and print the address."""
    from pipeline.dataset.reader import Dataset
    from pipeline.dataset.recordings import open_source
    from pipeline.publish.push import push_dataset

    dataset = Dataset(arguments.dataset)
    url = push_dataset(
        dataset,
        arguments.repository,
        private=arguments.private,
        revision=arguments.revision,
        embed_audio=open_source(dataset, arguments.audio) if arguments.embed_audio else None,
        say=print,
    )
    print(url)
    return 0
