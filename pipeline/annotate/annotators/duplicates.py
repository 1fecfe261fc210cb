"""Which rows sound like an earlier one, by their codes alone: MinHash over short runs of codes.

Two rows are as similar as the share of their runs of `SHINGLE` codes that both have (Jaccard). A row's
signature holds, for each of `HASHES` random orders of all runs, its first one; the share of equal places
estimates the similarity (Broder 1997). Rows that agree in all places of one of `BANDS` bands are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import numpy as np
import pyarrow as pa

from pipeline.annotate.protocol import Column, Rows, Values
from pipeline.dataset.reader import Dataset
from pipeline.errors import naming
from pipeline.ragged import Ragged, from_arrow
from pipeline.storage.scratch import scratch_folder

SHINGLE, HASHES, BANDS = 2, 64, 32
SIMILAR = 0.3  # estimated similarity from which a row is named; unrelated rows share far fewer runs
MEMORY = "1GB"  # before the bands go to disk
ORDERS = np.random.default_rng(0).integers(0, 2**32, (HASHES, 2), np.uint64) | np.uint64(1)


class Duplicates:
    """Names, for each row, the first row of the dataset that is most like it."""

    name = "duplicates"
    version = 1
    settings: ClassVar[Mapping[str, Any]] = {
        "shingle": SHINGLE,
        "hashes": HASHES,
        "bands": BANDS,
        "similar": SIMILAR,
    }
    columns: ClassVar[Mapping[str, Column]] = {
        "duplicate_of": Column(pa.string(), "id of an earlier row that sounds alike; null: none does"),
        "duplicate_similarity": Column(
            pa.float32(), "estimated share of short runs of codes in both, 0 to 1"
        ),
    }

    def __init__(self) -> None:
        self._found: dict[int, tuple[str, float]] = {}

    def prepare(self, dataset: Dataset) -> None:
        """See `DatasetAnnotator.prepare`: 256 bytes a row on the disk, meanwhile."""
        with scratch_folder("duplicates") as folder:
            spill = str(folder / "duckdb")
            with duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": spill}) as db:
                self._found = _similar(dataset, db, folder / "signatures")

    def annotate(self, rows: Rows) -> Values:
        """See `RowAnnotator.annotate`."""
        numbers = range(rows.first_row, rows.first_row + len(rows.table))
        found = [self._found.get(number, (None, None)) for number in numbers]
        return {"duplicate_of": [one[0] for one in found], "duplicate_similarity": [one[1] for one in found]}


def _similar(dataset: Dataset, db: duckdb.DuckDBPyConnection, path: Path) -> dict[int, tuple[str, float]]:
    """Return, by row number, the id of the first row most like it, and how similar it is."""
    db.execute("CREATE TABLE bands (band UTINYINT, key UBIGINT, row BIGINT)")
    db.execute("CREATE TABLE ids (row BIGINT, id VARCHAR)")
    first_row = 0
    with naming(path), path.open("wb") as file:
        for table in dataset.tables(["id", "code"]):
            numbers = np.arange(first_row, first_row + len(table))
            signed = signatures(from_arrow(table["code"]))
            file.write(signed.data)  # tofile would not say why the disk refuses
            grouped = signed.reshape(len(table), BANDS, HASHES // BANDS).astype(np.uint64)
            keys = grouped[:, :, 0] << np.uint64(32) | grouped[:, :, 1]
            added = pa.table(
                {
                    "band": np.tile(np.arange(BANDS, dtype=np.uint8), len(table)),
                    "key": keys.reshape(-1),
                    "row": np.repeat(numbers, BANDS),
                }
            )
            named = pa.table({"row": numbers, "id": table["id"]})
            db.register("added", added).execute("INSERT INTO bands SELECT * FROM added")
            db.register("named", named).execute("INSERT INTO ids SELECT * FROM named")
            first_row += len(table)
    if first_row == 0:
        return {}
    pairs = db.execute(
        "SELECT DISTINCT row, first, id FROM (SELECT row, min(row) OVER (PARTITION BY band, key) AS first "
        "FROM bands) JOIN (SELECT row AS first, id FROM ids) USING (first) WHERE row > first "
        "ORDER BY row, first"
    )
    signed = np.memmap(path, np.uint32, "r", shape=(first_row, HASHES))
    found: dict[int, tuple[str, float]] = {}
    while lot := pairs.fetchmany(10_000):
        for row, first, name in lot:
            similarity = round(float((signed[row] == signed[first]).mean()), 4)
            if similarity >= SIMILAR and similarity > found.get(row, ("", 0.0))[1]:
                found[row] = (name, similarity)
    return found


def signatures(codes: Ragged) -> np.ndarray:
    """Return the MinHash signature of each row of codes, uint32 (rows, `HASHES`)."""
    lengths = np.maximum(codes.lengths - SHINGLE + 1, 1)  # a shorter row is one run
    padded = np.append(codes.values.astype(np.uint64), np.zeros(SHINGLE, np.uint64))
    begins = np.cumsum(codes.lengths) - codes.lengths
    offsets = np.cumsum(lengths) - lengths
    at = np.arange(int(lengths.sum())) + np.repeat(begins - offsets, lengths)
    inside = np.repeat(begins + np.maximum(codes.lengths, 1), lengths)
    runs = np.zeros(len(at), np.uint64)
    for place in range(SHINGLE):
        value = np.where(at + place < inside, padded[at + place], 65_536)
        runs = runs * np.uint64(0x9E3779B97F4A7C15) + value.astype(np.uint64) + np.uint64(1)
    runs ^= runs >> np.uint64(29)
    signed = np.empty((len(lengths), HASHES), np.uint32)
    for number, (factor, shift) in enumerate(ORDERS):
        mixed = ((runs * (factor << np.uint64(31) | factor) + shift) >> np.uint64(32)).astype(np.uint32)
        signed[:, number] = np.minimum.reduceat(mixed, offsets) if len(lengths) else 0
    return signed
