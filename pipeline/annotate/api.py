"""Annotates a dataset with one call: what `python -m pipeline annotate` and the library's users share.

The same rows give the same bytes, whenever the run is killed however many threads it has, and in
however many parts it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.annotate.blaming import measure_rows
from pipeline.annotate.files import AnnotationFile, measured_by
from pipeline.annotate.listening import Cut, Listener
from pipeline.annotate.protocol import (
    Annotator,
    DatasetAnnotator,
    RowAnnotator,
    Rows,
)
from pipeline.annotate.registry import open_annotators
from pipeline.audio.source import AudioSource
from pipeline.config import LoadSettings, ValidationSettings
from pipeline.corpus import open_corpus
from pipeline.dataset.folder import clean
from pipeline.dataset.manifest import Manifest, ShardPlan
from pipeline.dataset.reader import ANNOTATIONS, Dataset
from pipeline.dataset.state import State
from pipeline.dataset.summary import write_summary
from pipeline.progress import plural
from pipeline.ragged import from_arrow
from pipeline.runtime import cores
from pipeline.storage.claims import Rank, claimed, claimed_rank


def annotate(
    dataset: str | Path | Dataset,
    annotators: Iterable[str | Annotator],
    *,
    audio: str | Path | None = None,
    text: str | Path | None = None,
    asr: str | None = None,
    language: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    rank: Rank | None = None,
    say: Callable[[str], object] = print,
    progress: Callable[[int], object] = lambda rows: None,
) -> int:
    """Measure every row of a finished dataset; what is there already is not measured again.

    `annotators` are names (see `python -m pipeline annotate --help`), Python files of your own, or
    annotators. `audio` and `text` say where the corpus is now, if it was moved. `asr` names the recogniser of
    `transcript`, `language` the language of rows that name none, and `device` where it runs. With a `rank`,
    other runs measure the other shards; what compares rows, and the card, is left to the last one. `progress`
    is called with the number of rows just seen. Returns how many shards were measured by at least one
    annotator.

    Raises UsageError if an annotator or the recordings are not there, if an annotator fails, if a file of the
    dataset is missing or damaged, or if another run is at work on it.

    >>> from pipeline import annotate_dataset
    >>> annotate_dataset("out/sample", ["codes", "level"])
    1
    """
    given = list(annotators)
    found = Dataset(dataset) if isinstance(dataset, str | Path) else dataset
    hears = asr or ValidationSettings().asr
    named = open_annotators(
        (one for one in given if isinstance(one, str)),
        {"transcript": {"asr": hears, "language": language, "device": device}},
    )
    chosen = [*named, *(one for one in given if not isinstance(one, str))]
    found.check_files()
    run = _Run(found, chosen, audio, text, threads or cores(), rank)
    if rank is None:
        with claimed(found.root):
            return len(run.own_shards(progress) | run.whole(progress))
    with claimed_rank(found.root, rank, say) as claim:
        claim.planned()
        made = run.own_shards(progress)
        with claim.closing():
            if left := run.left():
                say(f"{rank}: left to other parts or a run without --part: {plural(left, 'shard')}")
            else:
                made |= run.whole(progress)
        return len(made)


class _Run:
    def __init__(
        self,
        dataset: Dataset,
        annotators: Sequence[Annotator],
        audio: str | Path | None,
        text: str | Path | None,
        threads: int,
        rank: Rank | None,
    ) -> None:
        self._dataset, self._threads, self._rank = dataset, threads, rank
        self._corpus = dataset.corpus(audio, text)
        self._comparing = [one for one in annotators if isinstance(one, DatasetAnnotator)]
        self._others = [one for one in annotators if one not in self._comparing]

    def own_shards(self, progress: Callable[[int], object]) -> set[int]:
        """Measure what is not measured yet of this run's shards, by themselves; return those shards."""
        return self._measure(self._others, progress, self._rank)

    def left(self) -> int:
        """Return how many shards are still to be measured by themselves, by whichever part."""
        return sum(bool(self._todo(self._others, state)) for state in self._dataset.states())

    def whole(self, progress: Callable[[int], object]) -> set[int]:
        """Compare the rows of all shards, and name the annotations in the card; return shards measured."""
        clean(self._dataset.root, [f"{ANNOTATIONS}/{name}" for name in self._dataset.annotators()])
        made = set[int]()
        for annotator in self._comparing:
            made |= self._measure([annotator], progress if not self._others else lambda rows: None)
        write_summary(self._dataset)
        return made

    def _todo(self, annotators: Sequence[Annotator], state: State) -> list[Annotator]:
        return [one for one in annotators if not self._file(one, state).is_done(self._mark(one, state))]

    def _measure(
        self, annotators: Sequence[Annotator], progress: Callable[[int], object], rank: Rank | None = None
    ) -> set[int]:
        """Measure with some annotators what they have not measured; return the shards."""
        made, first_row = set[int](), 0
        for state in self._dataset.states():
            if rank is not None and state.shard % rank.of != rank.number:
                first_row += state.rows
                continue
            todo = self._todo(annotators, state)
            if todo and not made:
                for one in annotators:
                    if isinstance(one, DatasetAnnotator):
                        one.prepare(self._dataset)
            if todo:
                made.add(state.shard)
                self._shard(todo, state, first_row)
            first_row += state.rows
            progress(state.rows)
        return made

    def _shard(self, todo: Sequence[Annotator], state: State, first_row: int) -> None:
        table = self._dataset.table(state.shard)
        rows = Rows(table, from_arrow(table["code"]), first_row)
        hearing = [one for one in todo if not isinstance(one, RowAnnotator)]
        heard = self._heard(hearing, table, state.shard) if hearing else []
        for one in todo:
            if isinstance(one, RowAnnotator):
                values = measure_rows(one, rows)
            else:
                values = {name: [figures.get(name) for figures in heard] for name in one.columns}
            self._file(one, state).write(one, table["id"], values, self._mark(one, state))

    def _heard(self, hearing: Sequence[Annotator], table: pa.Table, shard: int) -> list[dict[str, Any]]:
        deadline = LoadSettings(**self._dataset.settings["load"]).decode_timeout
        listener = Listener(self._source, hearing, deadline)
        return listener.figures(_cuts(table, self._plans.get(shard)), self._threads)

    @cached_property
    def _source(self) -> AudioSource:
        return open_corpus(self._corpus).source

    @cached_property
    def _plans(self) -> dict[int, ShardPlan]:
        return {plan.shard: plan for plan in Manifest(self._dataset.root / "manifest").shards}

    def _file(self, annotator: Annotator, state: State) -> AnnotationFile:
        return AnnotationFile(self._dataset, annotator.name, state.shard)

    def _mark(self, annotator: Annotator, state: State) -> dict[str, Any]:
        compares = isinstance(annotator, DatasetAnnotator)
        return measured_by(annotator, self._dataset, state, compares=compares)


def _cuts(table: pa.Table, plan: ShardPlan | None) -> list[Cut]:
    """Return where the recording of each row is: its id tells, in the plan, from when to when."""
    planned = [] if plan is None else plan.read().select(["id", "start", "end"]).to_pylist()
    times = {row["id"]: (row["start"], row["end"]) for row in planned}
    rows = table.drop_columns(["code"]).to_pylist()
    return [Cut(row, *times.get(row["id"], (None, None))) for row in rows]
