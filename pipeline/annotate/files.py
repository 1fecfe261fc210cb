"""Where annotations lie: `annotations/NAME/{split}-00000.parquet` beside each shard, a row a row.

A `.json` of the same name, written last, is the mark that it is done: it names the annotator, its version and
settings, the shard that was measured, and the file's checksum.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.annotate.blaming import to_arrow
from pipeline.annotate.protocol import Annotator, Values
from pipeline.dataset.reader import ANNOTATIONS, Dataset
from pipeline.dataset.state import State
from pipeline.errors import UsageError
from pipeline.storage.files import checksum, replacing
from pipeline.storage.paths import local


@dataclass(frozen=True)
class AnnotationFile:
    """The annotations of one shard by one annotator."""

    dataset: Dataset
    name: str
    shard: int

    @property
    def data(self) -> Path:
        """The rows' figures."""
        return self.dataset.root / ANNOTATIONS / self.name / f"{self.dataset.files(self.shard).name}.parquet"

    @property
    def mark(self) -> Path:
        """What says that it is done."""
        return self.data.with_suffix(".json")

    def read_mark(self) -> dict[str, Any] | None:
        """Return the mark if there is a whole one and its file is as long as it says."""
        try:
            mark: dict[str, Any] = json.loads(self.mark.read_text(encoding="utf-8"))
            return mark if self.data.stat().st_size == mark["bytes"] else None
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            return None

    def is_done(self, measured: dict[str, Any]) -> bool:
        """Return whether just what `measured` says lies there."""
        mark = self.read_mark()
        return mark is not None and {name: mark.get(name) for name in measured} == measured

    def write(self, annotator: Annotator, ids: pa.ChunkedArray, values: Values, measured: Any) -> None:
        """Write the figures durably, then the mark. Raises UsageError for values of another type."""
        named = ids.to_pylist()
        columns = [pa.array(named, pa.string())]
        columns += [to_arrow(annotator, name, values[name], named) for name in annotator.columns]
        fields = [pa.field("id", pa.string())]
        fields += [
            pa.field(name, column.type, metadata={"meaning": column.meaning})
            for name, column in annotator.columns.items()
        ]
        self._save(pa.Table.from_arrays(columns, schema=pa.schema(fields)), measured)

    def _save(self, table: pa.Table, measured: dict[str, Any]) -> None:
        self.mark.unlink(missing_ok=True)
        writer = self.dataset.files(self.shard).writer
        with replacing(self.data, writer) as temporary:
            pq.write_table(table, temporary, compression="zstd")
            content = {"sha256": checksum(temporary), "bytes": temporary.stat().st_size}
        with replacing(self.mark, writer) as temporary:
            mark = json.dumps({**measured, **content}, indent=1, sort_keys=True)
            temporary.write_text(f"{mark}\n", encoding="utf-8")

    def carry(self, kept: pa.Array, to: Dataset, of: State, become: State) -> None:
        """Write the figures of the rows `kept` (booleans) as those of the same shard, made again, of `to`.

        Figures that come of comparing rows are left out: other rows are there now.
        """
        mark = self.read_mark()
        if mark is None or mark.get("measured") != rows_digest(of):
            return
        AnnotationFile(to, self.name, self.shard)._save(
            self.read().filter(kept), {**mark, "measured": rows_digest(become)}
        )

    def read(self) -> pa.Table:
        """Return the figures: `id` and the annotator's columns."""
        with local(self.data) as path:
            return pq.read_table(path)


def rows_digest(state: State) -> str:
    """Return the checksum of a shard's rows; without any, the digest of what they were to be made of."""
    return next((f["sha256"] for path, f in state.files.items() if path.startswith("data/")), state.inputs)


def measured_by(annotator: Annotator, dataset: Dataset, state: State, *, compares: bool) -> dict[str, Any]:
    """Return what a mark says of the annotator and of what it measured."""
    return {
        "annotator": annotator.name,
        "version": annotator.version,
        "settings": json.loads(json.dumps(dict(annotator.settings))),
        "columns": {name: column.meaning for name, column in annotator.columns.items()},
        "measured": dataset.digest() if compares else rows_digest(state),
    }


def read_annotations(dataset: Dataset, name: str) -> Iterator[pa.Table]:
    """Yield the figures of each finished shard. Raises UsageError if some are missing or of other rows."""
    for state in dataset.states():
        file = AnnotationFile(dataset, name, state.shard)
        mark = file.read_mark()
        data = {written["sha256"] for written in state.files.values()}
        if mark is None or mark.get("measured") not in {*data, state.inputs, dataset.digest()}:
            raise UsageError(
                f"the annotations {name} of {dataset.root} are not of all its rows as they are: "
                f"run annotate {dataset.root} --with {name}"
            )
        yield file.read()
