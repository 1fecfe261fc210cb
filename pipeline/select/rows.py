"""The rows of a dataset with their annotations, as a table to ask questions of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import numpy as np
import pyarrow as pa

from pipeline.annotate.files import read_annotations
from pipeline.dataset.reader import Dataset
from pipeline.dataset.rows import SCHEMA
from pipeline.errors import UsageError
from pipeline.storage.scratch import scratch_folder

MEMORY = "2GB"  # before rows go to disk
ASKED = [field for field in SCHEMA if field.name != "code"]


@contextmanager
def row_table(dataset: Dataset) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database with the table `rows`: columns of the rows but codes, and of every annotation.

    `row` is a row's number in the dataset. The database reads and writes nothing else on this machine.
    """
    with scratch_folder("select") as folder:
        spill = str(folder / "duckdb")
        with duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": spill}) as db:
            _fill(db, dataset)
            db.execute("SET enable_external_access = false")
            db.execute("SET lock_configuration = true")
            yield db


def columns(db: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the names of the columns that a condition may use."""
    return [name for name, *_ in db.execute("DESCRIBE rows").fetchall() if name != "row"]


def _asked(field: pa.Field) -> bool:
    """Return whether a condition can be about a column: not about embeddings and fingerprints."""
    kind = field.type
    return field.name != "id" and not (pa.types.is_nested(kind) or pa.types.is_fixed_size_binary(kind))


def _fill(db: duckdb.DuckDBPyConnection, dataset: Dataset) -> None:
    names = dataset.annotators()
    noted = [read_annotations(dataset, name) for name in names]
    first_row = 0
    for state, *figures in zip(dataset.states(), *noted, strict=True):
        asked = [field.name for field in ASKED if field.name in state.columns]
        table = dataset.table(state.shard, asked)
        found = {field.name: pa.nulls(len(table), field.type) for field in ASKED}
        found |= {name: table[name] for name in asked}
        for name, measured in zip(names, figures, strict=True):
            if not measured["id"].equals(table["id"]):
                raise UsageError(
                    f"the annotations {name} of {dataset.root} are of other rows: "
                    f"delete annotations/{name} and annotate again"
                )
            if twice := found.keys() & (set(measured.column_names) - {"id"}):
                raise UsageError(f"two annotations have a column {min(twice)}: delete one of them")
            found |= {field.name: measured[field.name] for field in measured.schema if _asked(field)}
        numbers = np.arange(first_row, first_row + len(table))
        db.register("shard", pa.table({"row": numbers, **found}))
        known = first_row or db.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'rows'").fetchall()
        db.execute("INSERT INTO rows FROM shard" if known else "CREATE TABLE rows AS FROM shard")
        db.unregister("shard")
        first_row += len(table)
    if first_row == 0:
        raise UsageError(f"{dataset.root} has no rows to choose from")
