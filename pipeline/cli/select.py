"""Choose rows of a dataset by a condition over its rows and annotations, and a budget.

Writes a dataset like any other, or the list of what is left out; without -o and --as-exclude, it only shows.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.select.api import Selection

EPILOG = """\
examples:
  python -m pipeline select out/ --where "duration > 2 AND code_run < 40" --preview
  python -m pipeline select out/ --where "snr > 20" --hours 100 --balance speaker -o chosen/
  python -m pipeline select out/ --where @emilia --preview                 a published recipe: configs/select/
  python -m pipeline select out/ --where "text_language = 'ja'" --as-exclude others.jsonl
"""
SHOWN = 60  # characters of a text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the dataset, the condition, the budget and where it goes."""
    parser.epilog = EPILOG
    parser.add_argument("dataset", metavar="OUT", help="folder of a dataset")
    condition = "condition that rows must meet, or @NAME of configs/select/, or @FILE [all do]"
    parser.add_argument("--where", default="true", metavar="SQL", help=condition)
    budget = parser.add_argument_group("budget")
    budget.add_argument("--hours", type=float, metavar="H", help="hours to take at most")
    budget.add_argument("--rows", type=int, metavar="N", help="rows to take at most")
    budget.add_argument("--balance", metavar="COLUMN", help="take turns between its values, such as speaker")
    budget.add_argument("--each", type=float, metavar="H", help="hours of each value of --balance at most")
    budget.add_argument(
        "--seed", type=int, default=0, metavar="N", help="draws another order to take rows in [0]"
    )
    goes = parser.add_argument_group("result")
    goes.add_argument("-o", "--output", metavar="DIR", help="folder of the dataset to write")
    goes.add_argument("--as-exclude", metavar="FILE", help="ids of the other rows, for `create --exclude`")
    goes.add_argument(
        "--report",
        metavar="FILE",
        help="HTML page: how the figures lie, hours kept as thresholds move, clips to hear",
    )
    goes.add_argument(
        "--preview", action="store_true", help="write nothing; show examples of what is kept and not"
    )


def run(arguments: argparse.Namespace) -> int:
    """Choose, write if asked to, and say what was kept."""
    from pipeline.select.api import select

    options = {
        name: value
        for name, value in vars(arguments).items()
        if name not in ("verb", "run", "preview", "report")
    }
    if arguments.preview:
        options |= {"output": None, "as_exclude": None}
    selection = select(**options)
    _tell(selection, examples=arguments.preview)
    if arguments.report is not None:
        from pipeline.dataset.reader import Dataset
        from pipeline.validate.report.distributions import write_distributions

        write_distributions(Dataset(arguments.dataset), arguments.where, Path(arguments.report))
        print(f"{arguments.report}: distributions")
    if arguments.output is not None and not arguments.preview:
        print(f"{arguments.output}: {'written' if selection.made else 'made before: nothing to do'}")
    return 0


def _tell(selection: Selection, *, examples: bool) -> None:
    from pipeline.progress import plural

    print(f"kept: {selection.rows:,} of {plural(selection.total, 'row')}, {selection.hours:,.2f} hours")
    for reason, count in selection.left_out.items():
        print(f"left out: {count:,} by {reason}")
    for reason, rows in selection.examples.items() if examples else ():
        for name, text in rows:
            print(f"  {reason}: {name}: {text if len(text) <= SHOWN else text[: SHOWN - 1] + '…'}")
