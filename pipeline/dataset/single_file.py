"""One JSONL file of `{"text", "code"}` rows, as LLASA training code reads it, joined from a dataset's shards.

The dataset itself lies beside it in `NAME.jsonl.parts/`, so that a run resumes and rejections are kept. Its
`joined.json` says which shards the file was made from, its length and its checksum.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.dataset.reader import Dataset
from pipeline.dataset.rows import append_jsonl
from pipeline.storage.files import checksum, replacing, write_text

COLUMNS = ("text", "code")
MARK = "joined.json"


def dataset_folder(output: Path) -> Path:
    """Return the folder of the dataset behind an output: itself, or the one beside a `NAME.jsonl`."""
    return output.with_name(f"{output.name}.parts") if output.suffix == ".jsonl" else output


def join(dataset: Dataset, output: Path) -> bool:
    """Write a `NAME.jsonl` from the finished shards of `dataset`; return whether there was need to.

    There is none for a folder, and for a file that holds them already.
    """
    if output.suffix != ".jsonl" or not _is_stale(dataset, output, _mark(dataset)):
        return False
    with replacing(output) as temporary:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            for table in dataset.tables(COLUMNS):
                append_jsonl(file, table)
        size, sha256 = temporary.stat().st_size, checksum(temporary)
    mark = {"made_from": dataset.digest(), "bytes": size, "sha256": sha256}
    write_text(dataset.root / MARK, json.dumps(mark) + "\n")
    return True


def joined_faults(dataset: Dataset, output: Path) -> Iterator[str]:
    """Yield what is wrong with a `NAME.jsonl`, if `output` is one."""
    if output.suffix != ".jsonl":
        return
    mark = _mark(dataset)
    if not output.exists():
        yield f"{output.name} is missing"
    elif not mark:
        yield f"{MARK} is missing or damaged"
    elif _is_stale(dataset, output, mark) or mark.get("sha256") not in {None, checksum(output)}:
        yield f"{output.name} has changed, or is of other shards"


def _mark(dataset: Dataset) -> dict[str, Any]:
    """Return what `joined.json` says; nothing if it is missing or damaged."""
    try:
        mark = json.loads((dataset.root / MARK).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return mark if isinstance(mark, dict) else {}


def _is_stale(dataset: Dataset, output: Path, mark: dict[str, Any]) -> bool:
    if not output.exists():
        return True
    return (mark.get("made_from"), mark.get("bytes")) != (dataset.digest(), output.stat().st_size)
