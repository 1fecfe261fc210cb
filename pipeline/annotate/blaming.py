"""Whatever goes wrong in an annotator becomes one sentence that names it and the row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from pipeline.annotate.protocol import Annotator, RowAnnotator, Rows, Values
from pipeline.errors import PipelineError, UsageError


def failed(annotator: Annotator, row: str, error: Exception) -> UsageError:
    """Return the error of an annotator that fails at a row."""
    said = " ".join(str(error).split())
    return UsageError(f"the annotator {annotator.name} fails at row {row}: {type(error).__name__}: {said}")


def measure_row(annotator: Annotator, row: str, measure: Callable[..., Values], *given: Any) -> Values:
    """Return what `measure(*given)` finds in a row. Raises UsageError for whatever goes wrong in there."""
    try:
        figures = measure(*given)
        return {name: figures[name] for name in annotator.columns}
    except PipelineError:
        raise
    except Exception as error:
        raise failed(annotator, row, error) from error


def measure_rows(annotator: RowAnnotator, rows: Rows) -> Values:
    """Return what an annotator finds in rows. Raises UsageError for whatever goes wrong in there."""
    ids = rows.table["id"].to_pylist()
    try:
        return _of_length(annotator, annotator.annotate(rows), len(ids))
    except PipelineError:
        raise
    except Exception as error:
        for place, row in enumerate(ids):  # which one is it?
            alone = rows.one(place)
            measure_row(annotator, row, lambda one: _of_length(annotator, annotator.annotate(one), 1), alone)
        raise failed(annotator, f"{ids[0]} or one of the {len(ids) - 1:,} after it", error) from error


def _of_length(annotator: Annotator, figures: Values, rows: int) -> Values:
    for name in annotator.columns:
        if len(figures[name]) != rows:
            raise ValueError(f"it gives {len(figures[name]):,} values of {name} for {rows:,} rows")
    return figures


def to_arrow(annotator: Annotator, column: str, values: Any, ids: Sequence[str]) -> pa.Array:
    """Return a column's values (rows,) as what they should be. Raises UsageError where they are not."""
    kind = annotator.columns[column].type
    try:
        return pa.array(values, kind, from_pandas=True)
    except (TypeError, ValueError, OverflowError) as error:
        for row, value in zip(ids, values, strict=True):
            try:
                pa.array([value], kind, from_pandas=True)
            except (TypeError, ValueError, OverflowError) as found:
                raise failed(annotator, row, found) from error
        raise failed(annotator, ids[0], error) from error
