"""Chooses rows with one call: what `python -m pipeline select` and the library's users share."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.dataset.reader import Dataset
from pipeline.select.choosing import Budget, Choice, choose
from pipeline.select.condition import read_condition
from pipeline.select.rows import row_table
from pipeline.select.writing import write_chosen
from pipeline.storage.files import replacing

EVERYTHING = "true"
EXAMPLES = 3  # rows named of each kind in a preview


@dataclass(frozen=True)
class Selection:
    """What was chosen: `rows` of `total`, their `hours`, and how many rows each reason left out.

    `examples`: a few rows by what became of them, id and text.
    """

    rows: int
    total: int
    hours: float
    left_out: dict[str, int]
    examples: dict[str, list[tuple[str, str]]]
    made: bool = False  # whether a dataset was written


def select(
    dataset: str | Path | Dataset,
    where: str = EVERYTHING,
    *,
    output: str | Path | None = None,
    as_exclude: str | Path | None = None,
    hours: float | None = None,
    rows: int | None = None,
    balance: str | None = None,
    each: float | None = None,
    seed: int = 0,
) -> Selection:
    """Choose rows of a finished dataset by a condition in SQL over its rows and annotations, and a budget.

    `where` uses the columns of the rows (id, text, duration, sample_rate, speaker, language, audio) and of
    every annotation; `@NAME` names one of configs/select/, `@FILE` a file. Of the rows that meet it, `hours`
    or `rows` are taken in an order drawn by `seed`; `balance` names a column, such as speaker, whose values
    take turns, each for `each` hours at most.
    `output` is the folder of the dataset to write; `as_exclude` a file for the ids of the other rows, as
    `create_dataset.py --exclude` reads it. Without either, nothing is written.

    Raises UsageError for a wrong condition or column, annotations of other rows, a damaged dataset, or an
    `output` that is not empty and no earlier selection.

    >>> from pipeline import select_rows
    >>> selection = select_rows("out/sample", "duration > 1", rows=10)
    >>> selection.rows
    10
    """
    where = read_condition(where)
    found = Dataset(dataset) if isinstance(dataset, str | Path) else dataset
    found.check_files()
    budget = Budget(hours, rows, balance, each, seed)
    with row_table(found) as db:
        choice = choose(db, where, budget)
        kept, shown = choice.kept, _shown(choice)
        numbers = [number for some in shown.values() for number in some]
        asked = "SELECT row, id, text FROM rows WHERE row IN (SELECT unnest($1))"
        named = {row: (name, text) for row, name, text in db.execute(asked, [numbers]).fetchall()}
        ids = (
            [name for (name,) in db.execute("SELECT id FROM rows ORDER BY row").fetchall()]
            if as_exclude
            else []
        )
    selection = Selection(
        rows=int(kept.sum()),
        total=len(kept),
        hours=round(float(choice.seconds[kept].sum()) / 3600, 6),
        left_out=choice.left_out(),
        examples={word: [named[n] for n in numbers] for word, numbers in shown.items()},
    )
    if as_exclude is not None:
        _write_excluded(Path(as_exclude), choice, ids)
    if output is None:
        return selection
    record: dict[str, Any] = {
        "source": found.root.resolve().name,
        "of": found.digest(),
        "annotations": found.annotators(),
        "where": where,
        "budget": asdict(budget),
        "rows": selection.rows,
        "of_rows": selection.total,
        "hours": selection.hours,
        "left_out": selection.left_out,
    }
    made = write_chosen(found, choice, Path(output), record)
    return Selection(**{**vars(selection), "made": made})


def matching(dataset: Dataset, where: str) -> np.ndarray:
    """Return which rows meet a condition, bool (rows,). Raises UsageError as `select` does."""
    with row_table(dataset) as db:
        return choose(db, where, Budget()).kept


def _shown(choice: Choice) -> dict[str, list[int]]:
    """Return the first rows of each kind, by what became of them."""
    return {
        word: np.flatnonzero(choice.reasons == number)[:EXAMPLES].tolist()
        for number, word in enumerate(choice.words)
    }


def _write_excluded(path: Path, choice: Choice, ids: list[str]) -> None:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for name, why in zip(ids, choice.reasons.tolist(), strict=True):
            if why:
                file.write(json.dumps({"id": name, "reason": choice.words[why]}, ensure_ascii=False) + "\n")
