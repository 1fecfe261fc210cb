"""Measure every row of a finished dataset, to choose by with `select`.

Figures go to OUT/annotations/NAME/, a row a row; a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse

EPILOG = """\
annotators:
  codes       entropy, runs and loops of the codes; needs no recordings
  duplicates  rows that sound like an earlier one, by their codes; needs no recordings
  language    which language each text is in; needs no recordings
  level       loudness, peak, clipping, silence, bandwidth, noise of the recordings
  quality     how good they sound, by DNSMOS
  my.py       your own: see docs/quality.md

example:
  python -m pipeline annotate out/ --with codes,level,duplicates,language
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the dataset and what to measure."""
    parser.epilog = EPILOG
    parser.add_argument("dataset", metavar="OUT", help="folder of a dataset")
    parser.add_argument(
        "--with", dest="annotators", required=True, metavar="NAME,…", help="what to measure; see below"
    )
    parser.add_argument("--audio", metavar="DIR", help="where the recordings are, if they were moved")
    parser.add_argument("--text", metavar="FILE", help="where the transcripts are, likewise")
    parser.add_argument("--threads", type=int, metavar="N", help="recordings decoded at once [cores]")


def run(arguments: argparse.Namespace) -> int:
    """Annotate and say what was made."""
    from pipeline.annotate.api import annotate
    from pipeline.dataset.reader import Dataset
    from pipeline.progress import Progress

    dataset = Dataset(arguments.dataset)
    with Progress("annotating", sum(state.rows for state in dataset.states()), "row") as progress:
        made = annotate(
            dataset,
            [name for name in arguments.annotators.split(",") if name],
            audio=arguments.audio,
            text=arguments.text,
            threads=arguments.threads,
            progress=progress.counted,
        )
    total = len(dataset.states())
    print(
        f"{made:,} of {total:,} shards measured"
        if made
        else f"{total:,} shards measured before: nothing to do"
    )
    return 0
