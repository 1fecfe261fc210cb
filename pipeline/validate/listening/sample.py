"""A random sample of rows, and the recordings that they were made from, by way of the manifest."""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.audio.decode import decode, open_audio, resample
from pipeline.audio.source import AudioSource
from pipeline.dataset.manifest import Manifest
from pipeline.dataset.reader import Dataset
from pipeline.recognise.text_language import detect_all
from pipeline.validate.rows.reading import read_shard


@dataclass(frozen=True)
class SampleRow:
    """A row of the dataset: `row` is its number in it; `codes` are integers of shape (n,).

    `start` and `end` (seconds) cut it out of its recording.
    """

    row: int
    id: str
    text: str
    language: str | None
    codes: np.ndarray
    audio: str
    start: float | None
    end: float | None


def choose(total: int, number: int, seed: int) -> list[int]:
    """Draw `number` different row numbers below `total`, all of them if there are fewer.

    A larger sample with the same seed begins with the smaller one, so that it can build on its results.
    """
    if number >= total:
        return list(range(total))
    random, chosen = np.random.default_rng(seed), dict[int, None]()
    while len(chosen) < number:
        chosen.setdefault(int(random.integers(total)))
    return list(chosen)


def read_rows(dataset: Dataset, shard_rows: Mapping[int, int], rows: Iterable[int]) -> Iterator[SampleRow]:
    """Read the rows with these numbers, by shard, one shard in memory; `shard_rows`: rows read, by shard."""
    for shard, places in by_shard(shard_rows, rows).items():
        read = read_shard(dataset.files(shard).data, dataset.form)
        begins = np.cumsum(read.counts) - read.counts
        stated = {name: read.texts(name) for name in ("id", "text", "language", "audio")}
        first, times = places[0][0] - places[0][1], _times(dataset, shard)
        for _, place in places:
            values: dict[str, Any] = {name: column[place].as_py() for name, column in stated.items()}
            start, end = times.get(values["id"], (None, None))
            codes = read.codes[begins[place] : begins[place] + read.counts[place]]
            values |= {name: values[name] or "" for name in ("id", "text", "audio")}
            yield SampleRow(row=first + place, codes=codes, start=start, end=end, **values)


def with_languages(rows: Sequence[SampleRow]) -> list[SampleRow]:
    """Return the rows with the language that their texts are in, where the dataset names none."""
    nameless = [row.text for row in rows if row.language is None]
    if not nameless or importlib.util.find_spec("lingua") is None:
        return list(rows)
    found = iter(detect_all(nameless))
    return [replace(row, language=next(found)) if row.language is None else row for row in rows]


def find_ids(dataset: Dataset, shard_rows: Mapping[int, int], ids: Collection[str]) -> list[int]:
    """Return numbers of the rows with these ids, one shard in memory at a time."""
    wanted, first, found = pa.array(sorted(ids), pa.string()), 0, list[int]()
    for shard, number in sorted(shard_rows.items()):
        if number:
            read = read_shard(dataset.files(shard).data, dataset.form)
            mask = pc.is_in(read.texts("id"), value_set=wanted).to_numpy(zero_copy_only=False)
            found += (np.flatnonzero(mask) + first).tolist()
        first += number
    return found


def by_shard(shard_rows: Mapping[int, int], rows: Iterable[int]) -> dict[int, list[tuple[int, int]]]:
    """Return, for each shard that holds some of the rows: (row number, position in the shard), in order."""
    shards = sorted(shard_rows)
    ends = np.cumsum([shard_rows[shard] for shard in shards])
    found: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for row in sorted(rows):
        position = int(np.searchsorted(ends, row, side="right"))
        found[shards[position]].append((row, row - int(ends[position]) + shard_rows[shards[position]]))
    return dict(found)


def _times(dataset: Dataset, shard: int) -> dict[str, tuple[float | None, float | None]]:
    for plan in Manifest(dataset.root / "manifest").shards:
        if plan.shard == shard:
            planned = plan.read().select(["id", "start", "end"]).to_pylist()
            return {row["id"]: (row["start"], row["end"]) for row in planned}
    return {}


@dataclass(frozen=True)
class Recordings:
    """The corpus's audio, decoded as it was for encoding."""

    source: AudioSource
    sample_rate: int  # Hz, of the codec
    max_seconds: float
    deadline_seconds: float

    def load(self, row: SampleRow) -> tuple[np.ndarray, int, np.ndarray]:
        """Return the source, float32 (samples,), its rate in Hz, and it at the codec's rate.

        Raises AudioError.
        """
        with open_audio(self.source, row.audio) as recording:
            waveform, rate = decode(
                recording,
                start=row.start,
                end=row.end,
                max_seconds=self.max_seconds,
                deadline_seconds=self.deadline_seconds,
            )
        return waveform.numpy(), rate, resample(waveform, rate, self.sample_rate).numpy()
