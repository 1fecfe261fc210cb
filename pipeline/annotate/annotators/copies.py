"""Which recordings are copies of an earlier one, at another level or through another codec.

Compares fingerprints. Two that agree in all bits of one of `KEYS` parts, and last about as long, are held
against each other; the share of equal bits, from half to all, says how alike they are, from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import duckdb
import numpy as np
import pyarrow as pa

from pipeline.annotate.annotators.fingerprint import SIZE, Fingerprint
from pipeline.annotate.files import read_annotations
from pipeline.annotate.protocol import Column, Rows, Values
from pipeline.dataset.reader import Dataset
from pipeline.storage.scratch import scratch_folder

KEYS = SIZE // 2  # parts of two bytes
SIMILAR = 0.5  # from which a row is named: three of four bits are equal
LASTING = 1.1  # times as long, at most
MOST = 32  # rows of one key and length that later ones are held against: the first ones
MEMORY = "1GB"  # before keys go to disk


class Copies:
    """Names, for each row, the earlier row whose recording is most like its own."""

    name = "copies"
    version = 1
    settings: ClassVar[Mapping[str, Any]] = {
        "fingerprint": Fingerprint.version,
        "similar": SIMILAR,
        "lasting": LASTING,
        "most": MOST,
    }
    columns: ClassVar[Mapping[str, Column]] = {
        "copy_of": Column(pa.string(), "id of an earlier row with the same recording; null: none has"),
        "copy_similarity": Column(pa.float32(), "how alike both are, 0 to 1"),
    }

    def __init__(self) -> None:
        self._found: dict[int, tuple[str, float]] = {}

    def prepare(self, dataset: Dataset) -> None:
        """See `DatasetAnnotator.prepare`."""
        with scratch_folder("copies") as folder:
            spill = str(folder / "duckdb")
            with duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": spill}) as db:
                _fill(db, dataset)
                found = db.execute(QUERY).fetchall()
        self._found = {row: (first, round(similarity, 4)) for row, first, similarity in found}

    def annotate(self, rows: Rows) -> Values:
        """See `RowAnnotator.annotate`."""
        numbers = range(rows.first_row, rows.first_row + len(rows.table))
        found = [self._found.get(number, (None, None)) for number in numbers]
        return {"copy_of": [one[0] for one in found], "copy_similarity": [one[1] for one in found]}


def _fill(db: duckdb.DuckDBPyConnection, dataset: Dataset) -> None:
    """Make the tables `prints` (row, id, seconds, first and second half of the bits) and `keys`."""
    db.execute("CREATE TABLE prints (row BIGINT, id VARCHAR, length INT, seconds FLOAT, a BIGINT, b BIGINT)")
    db.execute("CREATE TABLE keys (row BIGINT, part UTINYINT, key USMALLINT, length INT)")
    first_row = 0
    for figures in read_annotations(dataset, Fingerprint.name):
        numbers = np.arange(first_row, first_row + len(figures))
        first_row += len(figures)
        known = figures["fingerprint"].is_valid().to_numpy()
        if not known.any():
            continue
        bits = b"".join(value for value in figures["fingerprint"].to_pylist() if value is not None)
        seconds = figures["fingerprint_seconds"].to_numpy()[known]
        halves = np.frombuffer(bits, np.int64).reshape(-1, 2)
        length = (np.log(np.maximum(seconds, 0.01)) / np.log(LASTING)).astype(np.int32)
        prints = pa.table(
            {
                "row": numbers[known],
                "id": figures["id"].filter(pa.array(known)),
                "length": length,
                "seconds": seconds,
                "a": halves[:, 0],
                "b": halves[:, 1],
            }
        )
        keys = pa.table(
            {
                "row": np.repeat(numbers[known], KEYS),
                "part": np.tile(np.arange(KEYS, dtype=np.uint8), int(known.sum())),
                "key": np.frombuffer(bits, np.uint16),
                "length": np.repeat(length, KEYS),
            }
        )
        db.register("more_prints", prints).execute("INSERT INTO prints SELECT * FROM more_prints")
        db.register("more_keys", keys).execute("INSERT INTO keys SELECT * FROM more_keys")


QUERY = f"""
    WITH firsts AS (
        SELECT * FROM keys QUALIFY row_number() OVER (PARTITION BY part, key, length ORDER BY row) <= {MOST}
    ), pairs AS (
        SELECT DISTINCT keys.row, firsts.row AS first FROM keys JOIN firsts
        ON keys.part = firsts.part AND keys.key = firsts.key AND firsts.row < keys.row
        AND firsts.length BETWEEN keys.length - 1 AND keys.length + 1
    ), compared AS (
        SELECT pairs.row, first, one.id AS id,
            1 - (bit_count(xor(one.a, other.a)) + bit_count(xor(one.b, other.b))) / {SIZE * 4} AS similarity
        FROM pairs JOIN prints AS one ON one.row = first JOIN prints AS other ON other.row = pairs.row
        WHERE greatest(one.seconds, other.seconds) <= {LASTING} * least(one.seconds, other.seconds)
    )
    SELECT row, id, similarity FROM compared WHERE similarity >= {SIMILAR}
    QUALIFY row_number() OVER (PARTITION BY row ORDER BY similarity DESC, first) = 1 ORDER BY row
"""
