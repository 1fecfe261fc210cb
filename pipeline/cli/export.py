"""Write a dataset as the files that a training program or a loader of data reads.

A sample that is too long with its prompt is listed in left_out.jsonl, never cut.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pipeline.export.api import MAX_LENGTH
from pipeline.llasa_format import DATE

if TYPE_CHECKING:
    from pipeline.export.formats import Outcome

FORMATS = ("llasa-trainer", "llasa-memmap", "unsloth-memmap", "sharded-memmap", "sft", "webdataset", "lhotse")
EPILOG = """\
examples:
  python -m pipeline export out/ --to sft --tokenizer HKUSTAudio/Llasa-1B-Multilingual --val-share 0.01
  python -m pipeline export out/ --to llasa-memmap --tokenizer my-llasa/ --split-by speaker --val-share 0.05
  python -m pipeline export out/ --to webdataset --embed-audio
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the dataset, the program, the tokenizer and the split."""
    parser.epilog = EPILOG
    parser.add_argument("dataset", metavar="OUT", help="folder of a dataset")
    parser.add_argument("--to", required=True, choices=FORMATS, help="the program that reads it")
    parser.add_argument("-o", "--output", metavar="DIR", help="folder to write [OUT/export/FORMAT]")
    tokens = parser.add_argument_group("tokens, for all but webdataset and lhotse")
    tokens.add_argument(
        "--tokenizer", metavar="NAME_OR_PATH", help="of the LLASA to train: folder or Hugging Face id"
    )
    tokens.add_argument(
        "--max-length", type=int, metavar="N", help=f"tokens of a sample with its prompt [{MAX_LENGTH}]"
    )
    tokens.add_argument("--messages", action="store_true", help="sft: turns of a chat instead of token ids")
    tokens.add_argument("--date", help=f"in the prompts of models that date them [{DATE}]")
    recordings = parser.add_argument_group("recordings, for webdataset and lhotse")
    recordings.add_argument("--embed-audio", action="store_true", help="write the recordings too, as FLAC")
    recordings.add_argument("--audio", metavar="DIR", help="where the recordings are, if they were moved")
    split = parser.add_argument_group("validation rows")
    split.add_argument("--val-share", type=float, default=0.0, metavar="X", help="share set aside [0]")
    split.add_argument(
        "--split-by",
        choices=("seed", "speaker", "id"),
        default="seed",
        help="chosen by chance, as whole speakers, or by --val-ids [seed]",
    )
    split.add_argument("--val-ids", metavar="FILE", help="for --split-by id: a text file, one id a line")
    split.add_argument("--seed", type=int, default=0, metavar="N", help="another one chooses other rows [0]")


def run(arguments: argparse.Namespace) -> int:
    """Export and print what was made."""
    from pipeline.dataset.reader import Dataset
    from pipeline.export.api import export
    from pipeline.progress import Progress

    options = {name: value for name, value in vars(arguments).items() if name not in ("verb", "run")}
    dataset = Dataset(options.pop("dataset"))
    with Progress("exporting", sum(state.rows for state in dataset.states()), "row") as progress:
        outcome = export(dataset, **options, progress=progress.counted)
    print(_said(outcome))
    if (arguments.val_share or arguments.val_ids) and outcome.rows.keys() == {"train"}:
        print(f"no row is set aside for validation: {_why_none(arguments)}")
    return 0


def _why_none(arguments: argparse.Namespace) -> str:
    if arguments.val_ids:
        return f"{arguments.val_ids} has the id of none of these rows"
    return (
        f"--val-share {arguments.val_share:g} of so few fell on none; give a larger share, another --seed, "
        "or --split-by id"
    )


def _said(outcome: Outcome) -> str:
    from pipeline.progress import plural

    rows = ", ".join(plural(count, f"{split} row") for split, count in outcome.rows.items()) or "no rows"
    said = f"{outcome.folder}: {rows}"
    if not outcome.made:
        said += ", made before: nothing to do"
    if outcome.left_out:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in outcome.left_out.items())
        said += f"; left out, and listed in left_out.jsonl: {reasons}"
    return said
