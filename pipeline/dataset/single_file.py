"""One JSONL file of `{"text", "code"}` rows, as LLASA training code reads it, joined from a dataset's shards.

The dataset itself lies beside it in `NAME.jsonl.parts/`, so that a run resumes and rejections are kept.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pipeline.dataset.reader import Dataset
from pipeline.dataset.rows import append_jsonl
from pipeline.storage.files import replacing, write_text

COLUMNS = ("text", "code")


def dataset_folder(output: Path) -> Path:
    """Return the folder of the dataset behind an output: itself, or the one beside a `NAME.jsonl`."""
    return output.with_name(f"{output.name}.parts") if output.suffix == ".jsonl" else output


def join(dataset: Dataset, output: Path) -> None:
    """Write a `NAME.jsonl` from the finished shards of `dataset`, unless it holds them already."""
    if output.suffix != ".jsonl":
        return
    states = dataset.states()
    made_from = hashlib.sha256(
        json.dumps([state.files for state in states], sort_keys=True).encode()
    ).hexdigest()
    mark = dataset.root / "joined.json"
    if output.exists() and mark.exists() and json.loads(mark.read_text()) == _mark(made_from, output):
        return
    with replacing(output) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for table in dataset.tables(COLUMNS):
            append_jsonl(file, table)
    write_text(mark, json.dumps(_mark(made_from, output)) + "\n")


def _mark(made_from: str, output: Path) -> dict[str, object]:
    return {"made_from": made_from, "bytes": output.stat().st_size}
