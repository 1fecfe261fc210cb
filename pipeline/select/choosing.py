"""Which rows meet a condition and fit a budget, and why the others do not. The same ones every time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import duckdb
import numpy as np

from pipeline.errors import UsageError
from pipeline.select.condition import clauses
from pipeline.select.rows import columns

BUDGET = "over the budget"


@dataclass(frozen=True)
class Budget:
    """How much is taken of the rows that meet the condition, in an order drawn by `seed`.

    `hours` and `rows`: at most so much in all; `balance`: a column, such as speaker, whose values take turns,
    so that each gets as much time as it has or as the others get; `each`: hours that each may have.
    """

    hours: float | None = None
    rows: int | None = None
    balance: str | None = None
    each: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("hours", "rows", "each"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"--{name} is {value}: give more than 0")
        if self.each is not None and self.balance is None:
            raise UsageError("--each goes with --balance, which says of what")


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    `reasons` says for each row, by its number, why it is left out, as an index of `words`; 0: it is kept.
    """

    words: tuple[str, ...]
    reasons: np.ndarray  # int16 (rows,)
    seconds: np.ndarray  # float64 (rows,)

    @property
    def kept(self) -> np.ndarray:
        """Which rows are chosen, bool (rows,)."""
        kept: np.ndarray = self.reasons == 0
        return kept

    def left_out(self) -> dict[str, int]:
        """Return how many rows each reason leaves out, a row by the first one that does."""
        counts = Counter(self.reasons.tolist())
        return {word: counts[number] for number, word in enumerate(self.words) if number}


def choose(db: duckdb.DuckDBPyConnection, where: str, budget: Budget) -> Choice:
    """Choose among the rows of `rows.row_table`. Raises UsageError for a wrong condition or column."""
    known = columns(db)
    if budget.balance is not None and budget.balance not in known:
        raise UsageError(f"there is no column {budget.balance} to --balance: there are {', '.join(known)}")
    parts = clauses(db, where)
    failed = " ".join(f"WHEN ({part}) IS NOT TRUE THEN {n}" for n, part in enumerate(parts, 1))
    over = len(parts) + 1
    try:
        db.execute(
            f"CREATE OR REPLACE TEMP TABLE judged AS SELECT *, CASE {failed} ELSE 0 END AS why FROM rows"
        )
    except duckdb.Error as error:
        said = str(error).splitlines()[0].partition(": ")[2] or str(error)
        raise UsageError(f"--where {where}: {said}. The columns are {', '.join(known)}") from error
    found = db.execute(_budgeted(budget, over)).fetchnumpy()
    return Choice(
        ("kept", *parts, BUDGET), found["why"].astype(np.int16), found["duration"].astype(np.float64)
    )


def _budgeted(budget: Budget, over: int) -> str:
    """Return the query for `why` and `duration` of each row, in order, with the budget's reason in it."""
    drawn = f"md5(concat('{budget.seed}:', id)), row"
    group = "NULL" if budget.balance is None else f'"{budget.balance}"'
    limits = [f"taken > {budget.hours * 3600}"] if budget.hours is not None else []
    limits += [f"place > {budget.rows}"] if budget.rows is not None else []
    limits += [f"own > {budget.each * 3600}"] if budget.each is not None else []
    exceeded = " OR ".join(limits) or "false"
    turn = "own, " if budget.balance is not None else ""
    each = "true" if budget.each is None else f"own <= {budget.each * 3600}"
    return f"""
        WITH fit AS (
            SELECT row, id, duration,
                sum(duration) OVER (PARTITION BY {group} ORDER BY {drawn} ROWS UNBOUNDED PRECEDING) AS own
            FROM judged WHERE why = 0
        ), taken AS (
            SELECT row, own,
                sum(duration) FILTER ({each}) OVER turns AS taken,
                count(*) FILTER ({each}) OVER turns AS place
            FROM fit WINDOW turns AS (ORDER BY {turn}{drawn} ROWS UNBOUNDED PRECEDING)
        )
        SELECT CASE WHEN why = 0 AND ({exceeded}) THEN {over} ELSE why END AS why, duration
        FROM judged LEFT JOIN taken USING (row) ORDER BY row
    """
