"""Write a dataset in the format that a LLASA training program reads.

python -m pipeline export out/ --to sft --tokenizer HKUSTAudio/Llasa-1B-Multilingual --val-share 0.01
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import UsageError
from pipeline.llasa_format import DATE

if TYPE_CHECKING:
    from pipeline.dataset.reader import Dataset
    from pipeline.export.formats import Outcome
    from pipeline.export.splits import IsValidation
    from pipeline.llasa_format.prompt import PromptFormat

FORMATS = ("llasa-trainer", "llasa-memmap", "unsloth-memmap", "sharded-memmap", "sft")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the dataset, the program, the tokenizer and the split."""
    parser.add_argument("dataset", metavar="OUT", help="folder of a dataset")
    parser.add_argument("--to", required=True, choices=FORMATS, help="the program that will read it")
    parser.add_argument(
        "--tokenizer",
        required=True,
        metavar="NAME",
        help="LLASA model: folder or Hugging Face id",
    )
    parser.add_argument("--output", metavar="DIR", help="folder to write; default OUT/export/FORMAT")
    parser.add_argument(
        "--max-length",
        type=int,
        default=2048,
        metavar="N",
        help="tokens a sample may have with its prompt; longer ones are listed and left out (2048)",
    )
    parser.add_argument("--messages", action="store_true", help="sft: a messages column instead of token ids")
    parser.add_argument(
        "--date", default=DATE, help=f"the date in the prompt of models that date it ({DATE})"
    )
    parser.add_argument(
        "--split-by",
        choices=("seed", "speaker", "id"),
        default="seed",
        help="how validation rows are chosen: by chance, whole speakers, or by --val-ids (seed)",
    )
    parser.add_argument("--val-share", type=float, default=0.0, metavar="X", help="share for validation (0)")
    parser.add_argument("--val-ids", metavar="FILE", help="text file with an id a line, for --split-by id")
    parser.add_argument("--seed", type=int, default=0, help="chooses other validation rows (0)")


def run(arguments: argparse.Namespace) -> int:
    """Export and print what was made.

    Raises UsageError, before anything is written, if the arguments do not fit.
    """
    from pipeline.dataset.reader import Dataset
    from pipeline.export import formats
    from pipeline.progress import Progress

    _check(arguments)
    dataset = Dataset(arguments.dataset)
    is_validation, columns = _split(arguments, dataset)
    prompts = _prompts(arguments, dataset)
    name = "sft-messages" if arguments.messages else arguments.to
    folder = Path(arguments.output) if arguments.output else dataset.root / "export" / name
    with Progress("exporting", sum(state.rows for state in dataset.states()), "row") as progress:
        outcome = formats.export(
            dataset,
            name,
            prompts,
            is_validation,
            folder,
            max_length=arguments.max_length,
            columns=columns,
            asked=_asked(arguments),
            progress=progress.counted,
        )
    print(_said(outcome))
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if not 0 <= arguments.val_share < 1:
        raise UsageError(f"--val-share is {arguments.val_share}: give a share from 0 up to 1")
    if arguments.max_length < 1:
        raise UsageError(f"--max-length is {arguments.max_length}: give a number of prompts, such as 2048")
    if (arguments.split_by == "id") != (arguments.val_ids is not None):
        raise UsageError("--split-by id and --val-ids FILE go together")
    if arguments.messages and arguments.to != "sft":
        raise UsageError(f"--messages is for --to sft, not for {arguments.to}")
    if arguments.to == "unsloth-memmap" and (arguments.val_share or arguments.val_ids):
        raise UsageError("unsloth-memmap is one set: export it without --val-share and --val-ids")


def _split(arguments: argparse.Namespace, dataset: Dataset) -> tuple[IsValidation, tuple[str, ...]]:
    from pipeline.export import splits

    if arguments.val_ids is not None:
        return splits.by_id(Path(arguments.val_ids)), ()
    if arguments.val_share == 0:
        return splits.nothing, ()
    if arguments.split_by == "speaker":
        return splits.by_speaker(arguments.val_share, arguments.seed, dataset.states()), ("speaker",)
    return splits.by_seed(arguments.val_share, arguments.seed), ()


def _prompts(arguments: argparse.Namespace, dataset: Dataset) -> PromptFormat:
    from pipeline.export.samples import open_prompts

    sizes = {int(state.codec["codebook_size"]) for state in dataset.states()}
    return open_prompts(arguments.tokenizer, max(sizes, default=0), arguments.date)


def _asked(arguments: argparse.Namespace) -> dict[str, Any]:
    ids = None if arguments.val_ids is None else sorted(Path(arguments.val_ids).read_text().split())
    return {
        "date": arguments.date,
        "split_by": arguments.split_by,
        "val_share": arguments.val_share,
        "seed": arguments.seed,
        "val_ids": ids,
    }


def _said(outcome: Outcome) -> str:
    rows = ", ".join(f"{count:,} {split}" for split, count in outcome.rows.items()) or "no"
    said = f"{outcome.folder}: {rows} rows"
    if not outcome.made:
        said += ", made before: nothing to do"
    if outcome.left_out:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in outcome.left_out.items())
        said += f"; left out, and listed in left_out.jsonl: {reasons}"
    return said
