"""Judge whether a LLASA trained on this dataset would speak well; writes figures and a page to OUT/report.

The exit status is 0 if every check passes and 4 if one fails.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pipeline import config
from pipeline.cli.options import Flags, add_settings, given_settings
from pipeline.config import Settings

if TYPE_CHECKING:
    from pipeline.dataset.reader import Dataset
    from pipeline.validate.session import Outcome

FAILED = 4
FLAGS: Flags = {
    "--sample": ("validation.sample", {"type": int, "metavar": "N"}),
    "--exact": ("validation.exact", {"type": int, "metavar": "N"}),
    "--speak": ("validation.speak", {"type": int, "metavar": "N"}),
    "--seed": ("validation.seed", {"type": int, "metavar": "N"}),
    "--asr": ("validation.asr", {"metavar": "NAME_OR_PATH"}),
    "--codec": ("codec.name", {"metavar": "NAME_OR_PATH"}),
    "--device": ("codec.device", {}),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the dataset, what to look at and how closely."""
    parser.add_argument("output", metavar="OUT", help="folder of a dataset, its name.jsonl, or USER/NAME")
    parser.add_argument("--config", metavar="FILE", help="thresholds [those the dataset was made with]")
    parser.add_argument("--audio", metavar="DIR", help="the recordings, where they are not any more")
    parser.add_argument("--text", metavar="FILE", help="their transcripts, likewise")
    parser.add_argument("--model", metavar="NAME_OR_PATH", help="a LLASA model that is to say some texts")
    parser.add_argument("--held-out", metavar="FILE", help="ids of texts for --model, one a line")
    parser.add_argument(
        "--tokenizer", metavar="NAME_OR_PATH", help="count training lengths exactly [a bound is used]"
    )
    add_settings(parser, FLAGS, "validation.min_stoi=0.9")


def run(arguments: argparse.Namespace) -> int:
    """Validate, print the verdict, and return 0 or 4."""
    from pipeline.dataset.summary import write_summary
    from pipeline.validate.inputs import open_dataset, open_inputs
    from pipeline.validate.report.writing import write_report
    from pipeline.validate.session import validate

    dataset = open_dataset(arguments.output)
    settings = settings_of(arguments, dataset)
    parts = open_inputs(arguments, dataset, settings)
    outcome = validate(dataset, settings.validation, parts, print)
    page = write_report(dataset, outcome, parts)
    write_summary(dataset)  # the card shows the verdict and the agreement
    _tell(outcome)
    print(f"report: {page}")
    return 0 if outcome.metrics["verdict"] == "pass" else FAILED


def settings_of(arguments: argparse.Namespace, dataset: Dataset) -> Settings:
    """Merge the dataset's own settings, the thresholds of --config and the command line."""
    settings = Settings.model_validate(dataset.settings)
    if arguments.config is not None:
        settings = settings.model_copy(update={"validation": config.load(arguments.config).validation})
    given = given_settings(arguments, FLAGS, listed="validation.")
    values = {key: None if value == "null" else value for key, value in given.items()}
    if arguments.audio is not None:
        values |= {"corpus.audio": arguments.audio}
    if arguments.text is not None:
        values |= {"corpus.text": arguments.text}
    return settings.with_values(values)


def _tell(outcome: Outcome) -> None:
    for check in outcome.checks:
        value = "not measured" if check.value is None else f"{check.value:.4g}"
        sign = "at most" if check.at_most else "at least"
        print(f"  {check.outcome:7}  {check.title}: {value} ({sign} {check.limit:g})")
    for one in outcome.metrics["missing"]:
        print(f"  without {one['package']}: no {one['purpose']}; {one['install']}")
    for note in outcome.metrics["notes"]:
        print(f"  {note}")
    suspects = len(outcome.suspects)
    print(f"verdict: {outcome.metrics['verdict']}; {suspects:,} suspect rows in report/suspects.jsonl")
