"""Annotates a dataset with one call: what `python -m pipeline annotate` and the library's users share.

The same rows give the same bytes, whenever the run is killed and however many threads it has.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.annotate.files import AnnotationFile, measured_by
from pipeline.annotate.protocol import (
    Annotator,
    ClipAnnotator,
    DatasetAnnotator,
    RowAnnotator,
    Rows,
    Values,
)
from pipeline.annotate.registry import open_annotators
from pipeline.audio.decode import AudioError, decode, open_audio
from pipeline.audio.source import AudioSource
from pipeline.config import LoadSettings
from pipeline.corpus import open_corpus
from pipeline.dataset.folder import clean
from pipeline.dataset.manifest import Manifest
from pipeline.dataset.reader import Dataset
from pipeline.dataset.state import State
from pipeline.ragged import from_arrow
from pipeline.storage.claims import claimed

LONGEST = 3600.0  # seconds of a recording that are decoded
Cut = tuple[str, float | None, float | None]  # a recording, and the seconds between which a row lies in it


def annotate(
    dataset: str | Path | Dataset,
    annotators: Iterable[str | Annotator],
    *,
    audio: str | Path | None = None,
    text: str | Path | None = None,
    threads: int | None = None,
    progress: Callable[[int], object] = lambda rows: None,
) -> int:
    """Measure every row of a finished dataset; what is there already is not measured again.

    `annotators` are names (codes, duplicates, language, level, quality), Python files of your own, or
    annotators. `audio` and `text` say where the corpus is now, if it was moved. `progress` is called with
    the number of rows just seen. Returns how many shards were measured by at least one annotator.

    Raises UsageError if an annotator or the recordings are not there, if a file of the dataset is missing or
    damaged, or if another run is at work on it.

    >>> from pipeline import annotate_dataset
    >>> annotate_dataset("out/sample", ["codes", "level"])
    1
    """
    given = list(annotators)
    named = open_annotators(one for one in given if isinstance(one, str))
    chosen = [*named, *(one for one in given if not isinstance(one, str))]
    found = Dataset(dataset) if isinstance(dataset, str | Path) else dataset
    found.check_files()
    with claimed(found.root):
        return _Run(found, chosen, audio, text, threads or len(os.sched_getaffinity(0))).run(progress)


class _Run:
    def __init__(
        self,
        dataset: Dataset,
        annotators: Sequence[Annotator],
        audio: str | Path | None,
        text: str | Path | None,
        threads: int,
    ) -> None:
        self._dataset, self._annotators, self._threads = dataset, annotators, threads
        self._corpus = dataset.corpus(audio, text)
        self._source: AudioSource | None = None
        self._prepared: set[str] = set()

    def run(self, progress: Callable[[int], object]) -> int:
        """Measure what is not measured yet, a shard after the other; return the number of such shards."""
        clean(self._dataset.root, [f"annotations/{annotator.name}" for annotator in self._annotators])
        plans = {plan.shard: plan for plan in Manifest(self._dataset.root / "manifest").shards}
        first_row = made = 0
        for state in self._dataset.states():
            todo = [
                one for one in self._annotators if not self._file(one, state).is_done(self._mark(one, state))
            ]
            if todo:
                made += 1
                table = self._dataset.table(state.shard)
                rows = Rows(table, from_arrow(table["code"]), first_row)
                plan = plans.get(state.shard)
                cuts = [] if plan is None else _cuts(table, plan.read())
                for annotator, values in zip(todo, self._measure(todo, rows, cuts), strict=True):
                    mark = self._mark(annotator, state)
                    self._file(annotator, state).write(annotator, table["id"], values, mark)
            first_row += state.rows
            progress(state.rows)
        return made

    def _file(self, annotator: Annotator, state: State) -> AnnotationFile:
        return AnnotationFile(self._dataset, annotator.name, state.shard)

    def _mark(self, annotator: Annotator, state: State) -> dict[str, Any]:
        compares = isinstance(annotator, DatasetAnnotator)
        return measured_by(annotator, self._dataset, state, compares=compares)

    def _measure(self, todo: Sequence[Annotator], rows: Rows, cuts: Sequence[Cut]) -> list[Values]:
        hearing = [one for one in todo if isinstance(one, ClipAnnotator)]
        heard: list[dict[str, Any]] = []
        if hearing:
            listen = partial(self._listen, hearing)
            with ThreadPoolExecutor(self._threads, thread_name_prefix="annotate") as pool:
                self._source = self._source or open_corpus(self._corpus).source
                heard = list(pool.map(listen, cuts))
        found: list[Values] = []
        for annotator in todo:
            if isinstance(annotator, RowAnnotator):
                if isinstance(annotator, DatasetAnnotator) and annotator.name not in self._prepared:
                    annotator.prepare(self._dataset)
                    self._prepared.add(annotator.name)
                found.append(annotator.annotate(rows))
            else:
                found.append({name: [one.get(name) for one in heard] for name in annotator.columns})
        return found

    def _listen(self, hearing: Sequence[ClipAnnotator], cut: Cut) -> dict[str, Any]:
        """Decode a row's recording once and return the figures of all; none if it cannot be decoded now."""
        locator, start, end = cut
        assert self._source is not None
        deadline = LoadSettings(**self._dataset.settings["load"]).decode_timeout
        try:
            with open_audio(self._source, locator) as file:
                waveform, rate = decode(
                    file, start=start, end=end, max_seconds=LONGEST, deadline_seconds=deadline
                )
        except AudioError:
            return {}
        return {name: value for one in hearing for name, value in one.hear(waveform.numpy(), rate).items()}


def _cuts(table: pa.Table, planned: pa.Table) -> list[Cut]:
    times = {
        row["id"]: (row["start"], row["end"]) for row in planned.select(["id", "start", "end"]).to_pylist()
    }
    rows = table.select(["id", "audio"]).to_pylist()
    return [(row["audio"], *times.get(row["id"], (None, None))) for row in rows]
