"""What `segment` makes of recordings without transcripts: a manifest of segments, in Parquet.

Each segment is an utterance, decoded from its place in its recording, to the sample. An id is the recording's
path and the times, as for other long recordings: `talks/one-00001230-00004560`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from pipeline.corpus.corpus import Corpus
from pipeline.corpus.entry import Entry, Item, Scope
from pipeline.corpus.format import CorpusProbe, FolderFormat
from pipeline.errors import UsageError

PLAN, SEGMENTS, STATE = "plan.json", "segments", "state"  # of the folder that `segment` writes
BATCH = 1000  # rows read at a time


def part_name(number: int) -> str:
    """Return the name of a part's files, without an ending."""
    return f"part-{number:05d}"


def entries(folder: Path) -> Iterator[Item]:
    """Yield the segments of every part, in order."""
    for number in range(_finished_parts(folder)):
        path = folder / SEGMENTS / f"{part_name(number)}.parquet"
        row = 0
        try:
            with path.open("rb") as file, pa.parquet.ParquetFile(file) as table:
                for batch in table.iter_batches(BATCH):
                    for values in batch.to_pylist():
                        row += 1
                        yield Entry(
                            where=f"{path.name}:{row}",
                            audio=values["audio"],
                            text=values["text"],
                            speaker=values["speaker"],
                            language=values["language"],
                            start=values["start"],
                            end=values["end"],
                            scope=Scope.EXACT,
                        )
        except (OSError, pa.ArrowException, KeyError) as error:
            raise UsageError(f"cannot read {path} ({error}): delete {folder} and segment again") from error


def _finished_parts(folder: Path) -> int:
    """Return how many parts there are. Raises UsageError unless all are done."""
    try:
        number = len(json.loads((folder / PLAN).read_text(encoding="utf-8"))["parts"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"cannot read {folder / PLAN}: give the folder that segment wrote") from error
    done = sum((folder / STATE / f"{part_name(part)}.json").exists() for part in range(number))
    if done < number:
        raise UsageError(f"{folder} has {done} of {number} parts: run the same segment command to the end")
    return number


def _folder_of(given: CorpusProbe) -> Path | None:
    at = given.text_folder
    return at if at and (at / PLAN).is_file() and (at / SEGMENTS).is_dir() else None


def _fits(given: CorpusProbe) -> bool:
    return given.folder is not None and _folder_of(given) is not None


def _open(given: CorpusProbe) -> Corpus:
    folder = _folder_of(given)
    if folder is None:
        raise UsageError(f"there is no {PLAN} of segment in {given.text or given.settings.audio}")
    return given.corpus("prepared", lambda: entries(folder))


FORMAT = FolderFormat("prepared", f"a folder that segment wrote, with {PLAN}", _fits, _open)
