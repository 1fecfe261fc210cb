"""How long planning takes, how much memory, and when the first shard may be encoded.

.venv/bin/python -m benchmarks.plan                              all: 200,000 files, 10 million entries
.venv/bin/python -m benchmarks.plan files jsonl --rows 20000     some of them, small
.venv/bin/python -m benchmarks.plan tar --processes 1            instead of one a core
.venv/bin/python -m benchmarks.plan synthetic --rows 100000000 --once   entries that no file holds
.venv/bin/python -m benchmarks.plan ids                          100 million ids, looked at for repeats alone
nice .venv/bin/python -m benchmarks.plan index --rows 5000000    the index of a listing that no disk holds

Each form is planned in a process of its own, so that its peak memory is its own: that of the largest process
of headers is told beside it. What is under way is said every half minute, and results/plan.json is written
after each form; those that were not asked for keep their figures. `nice` reaches all processes.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from benchmarks.common import add, apart, forget_peak, peak_mib
from pipeline.audio.source import FolderSource
from pipeline.build.plan import Planning
from pipeline.build.planning_pool import PlanningPool
from pipeline.build.seen_ids import SeenIds
from pipeline.config import CorpusSettings, LimitSettings
from pipeline.corpus import Corpus, open_corpus
from pipeline.corpus.audio_index import AudioIndex
from pipeline.corpus.entry import Entry

A_FOLDER = 1000  # files
AN_ARCHIVE = 10_000  # clips of a tar, rows of a Parquet file; further ones are links to the first
RECORDING = 3600.0  # seconds, of which JSONL and synthetic entries are segments of SEGMENT seconds
SEGMENT = 9.0
LIMITS = LimitSettings(min_seconds=0.0)
Opening = Callable[[], Corpus]
EVERY = 30.0  # seconds between lines that say what is under way


def wav(seconds: float) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(-3000, 3000, round(seconds * 8000), np.int16)
    soundfile.write(file, noise, 8000, format="WAV")
    return file.getvalue()


def files(root: Path, rows: int) -> Opening:
    """Files of their own, not links to one, so that the disk's caches are not flattered; found by name."""
    names = audio_files(root, rows)
    lines = (f"{name.rpartition('/')[2]}:the text of {name}\n" for name in names)
    (root / "text.txt").write_text("".join(lines))
    return partial(open_corpus, CorpusSettings(audio=str(root / "audio"), text=str(root / "text.txt")))


def paths(root: Path, rows: int) -> Opening:
    """The same, of which each entry says the path, so that the folders need not all be listed first."""
    rows_of = (
        {"audio_filepath": f"{name}.wav", "text": f"the text of {name}"} for name in audio_files(root, rows)
    )
    (root / "text.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows_of))
    return partial(open_corpus, CorpusSettings(audio=str(root / "audio"), text=str(root / "text.jsonl")))


def texts(root: Path, rows: int) -> Opening:
    """The same with a text beside each. The form is named: to recognise it all folders are looked through."""
    for name in audio_files(root, rows):
        (root / "audio" / f"{name}.txt").write_text(f"the text of {name}")
    return partial(open_corpus, CorpusSettings(audio=str(root / "audio"), transcripts="sidecar"))


def audio_files(root: Path, count: int) -> list[str]:
    """Write short files and return their paths without ending."""
    content = wav(0.1)
    names = [f"{number // A_FOLDER:04d}/utterance{number:07d}" for number in range(count)]
    for name in names[::A_FOLDER]:
        (root / "audio" / name).parent.mkdir(parents=True)
    for name in names:
        (root / "audio" / f"{name}.wav").write_bytes(content)
    return names


def segment(number: int) -> tuple[str, float]:
    """The recording and the beginning of an entry."""
    segments = int(RECORDING // SEGMENT)
    return f"{number // segments % 100:02d}.wav", number % segments * SEGMENT


def recordings(root: Path) -> None:
    (root / "audio").mkdir()
    first = root / "audio/00.wav"
    first.write_bytes(wav(RECORDING))
    for number in range(1, 100):
        os.link(first, first.with_name(f"{number:02d}.wav"))


def jsonl(root: Path, rows: int) -> Opening:
    """Entries with offset and duration, as NeMo has them, of 100 recordings."""
    recordings(root)
    with (root / "text.jsonl").open("w") as text:
        for number in range(rows):
            audio, start = segment(number)
            row = {"id": f"u{number:010d}", "audio_filepath": audio, "offset": start, "duration": SEGMENT}
            text.write(json.dumps(row | {"text": f"the text of utterance {number}"}) + "\n")
    return partial(open_corpus, CorpusSettings(audio=str(root / "audio"), text=str(root / "text.jsonl")))


def kaldi(root: Path, rows: int) -> Opening:
    """The same as Kaldi's tables: an utterance is a line of `text`, `segments` and `utt2spk`."""
    recordings(root)
    names = sorted(path.name for path in (root / "audio").iterdir())
    (root / "wav.scp").write_text("".join(f"{name} {name}\n" for name in names))
    with ExitStack() as opened:
        text, segments, speakers = (
            opened.enter_context((root / name).open("w")) for name in ("text", "segments", "utt2spk")
        )
        for number in range(rows):
            audio, start = segment(number)
            text.write(f"u{number:010d} the text of utterance {number}\n")
            segments.write(f"u{number:010d} {audio} {start} {start + SEGMENT}\n")
            speakers.write(f"u{number:010d} s{number // 1000}\n")
    return partial(
        open_corpus, CorpusSettings(audio=str(root / "audio"), text=str(root), transcripts="kaldi")
    )


def linked(root: Path, rows: int, ending: str, write: Callable[[Path], None]) -> Opening:
    (root / "audio").mkdir()
    first = root / f"audio/00000.{ending}"
    write(first)
    for number in range(1, -(-rows // AN_ARCHIVE)):
        os.link(first, first.with_name(f"{number:05d}.{ending}"))
    return partial(open_corpus, CorpusSettings(audio=str(root / "audio")))


def parquet(root: Path, rows: int) -> Opening:
    """Parquet with audio inside, in row groups of 100."""
    count = min(rows, AN_ARCHIVE)

    def write(path: Path) -> None:
        audio = [{"bytes": wav(0.1), "path": None}] * count
        table = pa.table({"audio": audio, "text": [f"the text of utterance {n}" for n in range(count)]})
        pq.write_table(table, path, row_group_size=100)

    return linked(root, rows, "parquet", write)


def tar(root: Path, rows: int) -> Opening:
    """WebDataset: a WAV and a JSON for each clip."""

    def write(path: Path) -> None:
        with tarfile.open(path, "w") as archive:
            for number in range(min(rows, AN_ARCHIVE)):
                text = json.dumps({"text": f"the text of utterance {number}"}).encode()
                for ending, content in (("wav", wav(0.1)), ("json", text)):
                    member = tarfile.TarInfo(f"{number:06d}.{ending}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))

    return linked(root, rows, "tar", write)


def synthetic(root: Path, rows: int) -> Opening:
    """Entries made up on the way."""
    recordings(root)

    def read() -> Iterator[Entry]:
        for number in range(rows):
            audio, start = segment(number)
            text = f"the text of utterance {number}"
            yield Entry("", audio, text, f"u{number:010d}", start=start, end=start + SEGMENT)

    return lambda: Corpus("synthetic", FolderSource(root / "audio"), read)


FORMS: dict[str, Callable[[Path, int], Opening]] = {
    form.__name__: form for form in (files, paths, texts, jsonl, kaldi, parquet, tar, synthetic)
}
MANY = 10_000_000
ROWS = {  # by default; of the others MANY
    "files": (200_000,),
    "paths": (200_000,),
    "texts": (200_000,),
    "kaldi": (1_000_000, 2_000_000),
    "index": (1_000_000, 5_000_000, 20_000_000),
    "ids": (100_000_000,),
}


class Said:
    """Says every half minute how many of how many are done."""

    def __init__(self, what: str, rows: int) -> None:
        self._what, self._rows, self._done = what, rows, 0
        self._started = self._said = time.perf_counter()

    def __call__(self, count: int = 1) -> None:
        self._done += count
        if (now := time.perf_counter()) > self._said + EVERY:
            self._said = now
            print(f"{self._what}: {self._done:,} of {self._rows:,}, {now - self._started:.0f} s", flush=True)


def planned(opening: Opening, root: Path, rows: int, processes: int | None) -> dict[str, float]:
    """Seconds, from before the corpus is opened, until the first shard may be made, and until all may."""
    started, first = time.perf_counter(), 0.0
    corpus = opening()
    planning = Planning(
        corpus, root / "manifest", limits=LIMITS, shard_size=1000, pool=PlanningPool(processes)
    )
    for _ in planning.chunks(Said(corpus.kind, rows)):
        first = first or time.perf_counter() - started
    seconds = time.perf_counter() - started
    assert planning.summary.utterances == rows
    return {"first_shard_seconds": round(first, 2), "seconds": round(seconds, 1)}


def index(root: Path, rows: int) -> dict[str, float]:
    """The index alone: filled, looked up for nine files of ten, and asked for those that nobody named."""
    said, marks = Said("index", 2 * rows), [time.perf_counter()]

    def listing() -> Iterator[str]:
        for number in range(rows):
            said()
            yield f"{number // A_FOLDER:06d}/utterance{number:09d}.wav"

    def read() -> Iterator[Entry]:
        for number in range(rows):
            said()
            if number % 10:
                yield Entry("", f"utterance{number:09d}", "text")

    found = AudioIndex(root, listing=listing())
    marks.append(time.perf_counter())
    corpus = Corpus("index", found.source, read, index=found)
    named = sum(each.audio.endswith(".wav") for each in corpus.utterances())
    marks.append(time.perf_counter())
    left = sum(1 for _ in corpus.audio_without_text())
    marks.append(time.perf_counter())
    assert named + left == rows
    steps = ("fill_seconds", "look_up_seconds", "left_seconds")
    return {name: round(end - begin, 1) for name, begin, end in zip(steps, marks, marks[1:], strict=False)}


def ids(root: Path, rows: int) -> dict[str, float]:
    """The look for ids that repeat alone."""
    said = Said("ids", rows)

    def new() -> Iterator[str]:
        for number in range(rows):
            said()
            yield f"u{number:010d}"

    started, used = time.perf_counter(), time.process_time()
    assert all(first for _, first in SeenIds().mark(new(), str))
    took = time.perf_counter() - started, time.process_time() - used
    return dict(zip(("seconds", "processor_seconds"), map(round, took), strict=True))


OTHERS: dict[str, Callable[[Path, int], dict[str, float]]] = {
    "index": index,
    "ids": ids,
}


def measure(root: Path, form: str, rows: int, processes: int | None, once: bool) -> dict[str, Any]:
    figures: dict[str, Any] = {"rows": rows}
    if form in OTHERS:
        figures |= OTHERS[form](root, rows)
    else:
        print(f"{form}: making {rows:,} entries", flush=True)
        opening = FORMS[form](root, rows)
        forget_peak()
        figures |= planned(opening, root, rows, processes)
        figures["rows_a_second"] = round(rows / figures["seconds"])
        if not once:
            figures["again_seconds"] = planned(opening, root, rows, processes)["seconds"]
    return figures | peak_mib()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("forms", nargs="*", default=[*FORMS, *OTHERS], metavar="FORM")
    parser.add_argument("--rows", type=int, help="instead of each form's own numbers")
    parser.add_argument("--processes", type=int, help="that plan; by default one a core")
    parser.add_argument("--once", action="store_true", help="do not plan again with nothing new")
    arguments = parser.parse_args()
    for form in arguments.forms:
        for rows in [arguments.rows] if arguments.rows else ROWS.get(form, (MANY,)):
            figures = apart(measure, form, rows, arguments.processes, arguments.once)
            print(form, json.dumps(figures), flush=True)
            add("plan", {f"{form} {rows}": figures})


if __name__ == "__main__":
    main()
