"""Judge whether a LLASA trained on a dataset would speak well, before a GPU is spent on it.

Reads every row, decodes and listens to a sample, and writes figures, suspect rows and a page with players.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from pipeline.cli.options import Flags, add_settings, given_settings
from pipeline.cli.output import add_json, coloured, printing_json

if TYPE_CHECKING:
    from pipeline.validate.session import Outcome

STATUS = {"pass": 0, "fail": 4, "not judged": 5}  # exit status by verdict
EPILOG = """\
exit status: 0 every check passes, 4 one fails, 5 not judged since the recordings are out of reach

examples:
  python -m pipeline validate out/
  python -m pipeline validate out/ --sample 200 --asr openai/whisper-large-v3-turbo
  python -m pipeline validate out/ --model my-llasa/ --held-out test_ids.txt
  python -m pipeline validate USER/NAME --report results/
"""
FLAGS: Flags = {
    "--sample": ("validation.sample", {"type": int, "metavar": "N"}),
    "--exact": ("validation.exact", {"type": int, "metavar": "N"}),
    "--speak": ("validation.speak", {"type": int, "metavar": "N"}),
    "--seed": ("validation.seed", {"type": int, "metavar": "N"}),
    "--asr": ("validation.asr", {"metavar": "NAME_OR_PATH"}),
    "--codec": ("codec.name", {"metavar": "NAME_OR_PATH"}),
    "--device": ("codec.device", {"metavar": "DEVICE"}),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the dataset, what to look at and how closely."""
    parser.epilog = EPILOG
    parser.add_argument("output", metavar="OUT", help="folder of a dataset, its name.jsonl, or USER/NAME")
    parser.add_argument("--report", metavar="DIR", help="folder for the results [OUT/report]")
    parser.add_argument("--config", metavar="FILE", help="thresholds [those the dataset was made with]")
    parser.add_argument("--audio", metavar="DIR", help="where the recordings are, if they were moved")
    parser.add_argument("--text", metavar="FILE", help="where the transcripts are, likewise")
    parser.add_argument("--model", metavar="NAME_OR_PATH", help="a LLASA model, to say some of the texts")
    parser.add_argument("--held-out", metavar="FILE", help="ids of the texts for --model, one a line")
    parser.add_argument(
        "--tokenizer", metavar="NAME_OR_PATH", help="count training lengths exactly [a bound is used]"
    )
    add_settings(parser, FLAGS, "validation.min_stoi=0.9")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Validate, print the verdict, and return 0, 4 or 5."""
    from pipeline.validate.api import validate

    given = given_settings(arguments, FLAGS, listed="validation.")
    with printing_json(arguments.json) as emit:
        outcome = validate(
            arguments.output,
            config=arguments.config,
            settings={key: None if value == "null" else value for key, value in given.items()},
            audio=arguments.audio,
            text=arguments.text,
            model=arguments.model,
            held_out=arguments.held_out,
            tokenizer=arguments.tokenizer,
            report=arguments.report,
            say=print,
        )
        if arguments.json:
            emit(_summary(outcome))
        else:
            _tell(outcome)
    return STATUS[outcome.verdict]


def _summary(outcome: Outcome) -> dict[str, Any]:
    return {
        "verdict": outcome.verdict,
        "rows": outcome.scan.rows,
        "suspects": len(outcome.suspects),
        "report": str(outcome.report),
        "checks": [
            {
                "title": check.title,
                "figure": check.figure,
                "outcome": check.outcome,
                "value": check.value,
                "limit": check.limit,
                "at_most": check.at_most,
            }
            for check in outcome.checks
        ],
        "missing": outcome.metrics["missing"],
        "notes": outcome.metrics["notes"],
    }


def _tell(outcome: Outcome) -> None:
    from pipeline.progress import plural

    for check in outcome.checks:
        value = "not measured" if check.value is None else f"{check.value:.4g}"
        sign = "at most" if check.at_most else "at least"
        print(f"  {coloured(check.outcome, 7)}  {check.title}: {value} ({sign} {check.limit:g})")
    for one in outcome.metrics["missing"]:
        print(f"  without {one['package']}: no {one['purpose']}; {one['install']}")
    for note in outcome.metrics["notes"]:
        print(f"  {note}")
    suspects = len(outcome.suspects)
    verdict = coloured(outcome.verdict)
    print(f"verdict: {verdict}; {plural(suspects, 'suspect row')} in {outcome.report / 'suspects.jsonl'}")
    print(f"report: {outcome.report / 'index.html'}")
