"""A record of every row, kept while a dataset is read: what is the same in two rows, and how long texts take.

DuckDB holds the records, 64 bytes a row, and moves to the disk what does not fit into memory.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

MEMORY = "1GB"  # before records go to disk
HASHED = ("id", "audio", "text", "codes")  # columns whose equal values are looked for
SPOKEN = "units > 0 AND seconds > 0"


class RowTable:
    """The records; `work` is a folder for what does not fit into memory. Use as a context manager."""

    def __init__(self, work: Path) -> None:
        self._db = duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": str(work / "duckdb")})
        self._db.execute(
            "CREATE TABLE records (row BIGINT, id UBIGINT, audio UBIGINT, text UBIGINT, codes UBIGINT, "
            "language VARCHAR, units FLOAT, seconds FLOAT, length INTEGER)"
        )

    def __enter__(self) -> RowTable:
        return self

    def __exit__(self, *error: object) -> None:
        self._db.close()

    def add(self, records: pa.Table) -> None:
        """Add rows: `row`, their numbers; `HASHED`, of any type; `language`, `units` of text, `seconds`.

        A row's `length` is its number of codes.
        """
        self._db.register("added", records)
        hashed = ", ".join(f"hash({name})" for name in HASHED)
        self._db.execute(
            f"INSERT INTO records SELECT row, {hashed}, language, units, seconds, len(codes) FROM added"
        )
        self._db.unregister("added")

    def repeated(self, column: str, examples: int) -> tuple[int, np.ndarray]:
        """Count the rows that have the value of an earlier row, and return the first of them, int64 (n,)."""
        groups = f"SELECT {column}, min(row) AS first FROM records GROUP BY {column} HAVING count(*) > 1"
        later = f"records JOIN ({groups}) USING ({column}) WHERE row > first"
        (count,) = self._db.execute(f"SELECT count(*) FROM {later}").fetchall()[0]
        rows = self._db.execute(f"SELECT row FROM {later} ORDER BY row LIMIT {examples}").fetchnumpy()
        return count, rows["row"]

    def languages(self) -> dict[str, int]:
        """Return how many rows with text and duration each language has."""
        counted = f"SELECT language, count(*) FROM records WHERE {SPOKEN} GROUP BY language ORDER BY language"
        return dict(self._db.execute(counted).fetchall())

    def sample(self, language: str, step: int) -> dict[str, np.ndarray]:
        """Return every `step`-th row of a language: `units`, `seconds`, `length`, float64 (n,) each."""
        chosen = self._db.execute(
            f"SELECT units, seconds, length FROM records WHERE {SPOKEN} AND language = $language "
            "QUALIFY (row_number() OVER (ORDER BY row) - 1) % $step = 0 ORDER BY row",
            {"language": language, "step": step},
        )
        return {name: values.astype(np.float64) for name, values in chosen.fetchnumpy().items()}

    def deviating(
        self, language: str, edges: float, per_unit: float, spread: float, limit: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of a language whose log duration is off by over `limit` spreads, and by how many.

        Expected are `edges + per_unit * units` seconds. Below 0 is slow (or text is missing), above is fast.
        """
        found = self._db.execute(
            "SELECT row, (ln($edges + $per_unit * units) - ln(seconds)) / $spread AS deviation "
            f"FROM records WHERE {SPOKEN} AND language = $language AND abs(deviation) > $limit ORDER BY row",
            {"language": language, "edges": edges, "per_unit": per_unit, "spread": spread, "limit": limit},
        ).fetchnumpy()
        return found["row"], found["deviation"]
