"""Marks a manifest that is not that of a finished dataset yet: `manifest/planning.json`.

It is there from before the first row that planning adds until the dataset is closed. A finished dataset has
none, and so has every dataset made by a version that planned the whole corpus first.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from pipeline.storage.files import remove, write_text

NAME = "planning.json"


@dataclass(frozen=True)
class PlanMark:
    """How far planning is."""

    stood: int = 0  # shards planned before this pass over the corpus began
    kept: int | None = None  # shards that stay if the corpus turns out to be another; None: it is not
    complete: bool = False  # the pass is over: every utterance has its row
    columns: list[str] | None = None  # of the rows, fixed by shards finished before; None: what rows fill
    planner: str | None = None  # the lock of the part of a run that plans


MARK = TypeAdapter(PlanMark)


def read_mark(folder: Path) -> PlanMark | None:
    """Return the mark of the manifest in `folder`; None if there is none, as of a finished dataset."""
    try:
        return MARK.validate_json((folder / NAME).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:  # not what was written: another pass over the corpus settles it
        return PlanMark()


def write_mark(folder: Path, mark: PlanMark | None) -> None:
    """Write the mark of the manifest in `folder`, or remove it."""
    if mark is None:
        remove(folder / NAME)
    else:
        write_text(folder / NAME, json.dumps(asdict(mark)) + "\n")


def is_growing(folder: Path) -> bool:
    """Return whether rows may be missing from the manifest in `folder`."""
    mark = read_mark(folder)
    return mark is not None and not mark.complete
