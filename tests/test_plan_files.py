"""Corpora of many tars or Parquet files, which helpers read side by side."""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_corpus_webdataset import write_tar

from pipeline.build import probing, reading
from pipeline.build.examine import Examiner
from pipeline.build.plan import PlanSummary, plan
from pipeline.build.planning_pool import PlanningPool
from pipeline.build.planning_worker import PlanningWorker
from pipeline.config import CorpusSettings, LimitSettings
from pipeline.corpus import Corpus, open_corpus
from pipeline.corpus.corpus import Files
from pipeline.corpus.entry import Item
from pipeline.dataset.manifest import Manifest
from pipeline.errors import PipelineError, UsageError
from pipeline.utterance import Reason

LIMITS = LimitSettings(min_seconds=0.05)


class Killed(BaseException):
    """As SIGKILL: nothing that ends a pass well is done."""


class Thread:
    """A helper in this process, which reads in small pieces."""

    def __init__(self, examine: Examiner, corpus: Corpus | None) -> None:
        self._worker, self._pool = (
            PlanningWorker(examine, pickle.loads(pickle.dumps(corpus)), piece=3),
            ThreadPoolExecutor(1),
        )

    def ask(self, task, *arguments):
        return self._pool.submit(getattr(self._worker, task), *arguments)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


@pytest.fixture(autouse=True)
def helped_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let helpers be asked for as soon as may be."""
    for module, name, value in ((reading, "ALONE", 2), (probing, "ALONE", 1), (probing, "CHUNK", 2)):
        monkeypatch.setattr(module, name, value)


def tars(root: Path, clip: bytes) -> Callable[[int], Corpus]:
    """Write tars with what is wrong with tars, the first ones until the corpus grows."""

    def write(count: int) -> Corpus:
        for number in range(count):
            members: dict[str, bytes | str | dict] = {}
            for each in range((7, 0, 5, 3, 11)[number % 5]):
                members |= {
                    f"{each}.wav": clip,
                    f"{each}.json": {"id": f"u{(number * 7 + each) % 29}", "text": "t"},
                }
            members |= {
                "silent.wav": clip,
                "mute.txt": "a text without audio",
                "odd.wav": clip,
                "odd.json": "{",
            }
            path = root / f"audio/{number:02d}.tar"
            if not path.exists():
                write_tar(path, members)
                if number % 4 == 2:
                    path.write_bytes(path.read_bytes()[:-12_000])
        return open_corpus(CorpusSettings(audio=str(root / "audio")))

    return write


def parquets(root: Path, clip: bytes) -> Callable[[int], Corpus]:
    (root / "audio").mkdir(parents=True)

    def write(count: int) -> Corpus:
        for number in range(count):
            rows = (7, 1, 5, 3, 11)[number % 5]
            table = pa.table(
                {
                    "audio": [
                        {"bytes": b"no audio" if each == 2 else clip, "path": None} for each in range(rows)
                    ],
                    "text": [f"text {each}" if each != 3 else "" for each in range(rows)],
                    "id": [f"u{(number * 7 + each) % 29}" for each in range(rows)],
                }
            )
            path = root / f"audio/{number:02d}.parquet"
            if not path.exists():
                pq.write_table(table, path, row_group_size=4)
        return open_corpus(CorpusSettings(audio=str(root / "audio")))

    return write


def clip_of(root: Path, make_clip: Callable[..., Path]) -> bytes:
    return make_clip("clip.wav", seconds=0.1, folder=root / "clip").read_bytes()


@pytest.fixture(params=[tars, parquets])
def files(request, tmp_path, make_clip) -> Callable[[int], Corpus]:
    written: Callable[[int], Corpus] = request.param(tmp_path, clip_of(tmp_path, make_clip))
    return written


def helped(count: int) -> PlanningPool:
    pool = PlanningPool(1)
    for _ in range(count):
        pool.add(Thread)
    return pool


def planned(
    corpus: Corpus, folder: Path, pool: PlanningPool, killed_after: int | None = None, **options: object
) -> PlanSummary:
    left = killed_after

    def count(examined: int) -> None:
        nonlocal left
        if left is not None:
            left -= examined
            if left < 0:
                raise Killed

    chosen = {"limits": LIMITS, "shard_size": 3} | options
    return plan(corpus, folder, pool=pool, progress=count, **chosen)[1]


def parts(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("part*")}


@pytest.mark.parametrize("helpers", [1, 2, 5])
def test_rows_do_not_depend_on_helpers_though_the_corpus_grows_and_planning_is_killed(
    tmp_path, files, helpers
):
    instants, killed = random.Random(helpers), 0
    for count in (4, 5, 12):
        corpus = files(count)
        alone = planned(corpus, tmp_path / "alone", PlanningPool(1))
        textless = list(corpus.audio_without_text())
        for _ in range(3):
            with contextlib.suppress(Killed):
                planned(corpus, tmp_path / "helped", helped(helpers), instants.randrange(10, 40))
                killed -= 1
            killed += 1
        summary = planned(corpus, tmp_path / "helped", helped(helpers))
        assert parts(tmp_path / "helped") == parts(tmp_path / "alone")
        assert summary.utterances == alone.utterances
        assert list(corpus.audio_without_text()) == textless
    assert killed > 2
    assert {row.reason for row in Manifest(tmp_path / "alone").read_rows()} > {None, Reason.DUPLICATE_ID}


def deadly(path: str, *, entries: Callable[[str], Iterator[Item]], fatal: str, mark: Path) -> Iterator[Item]:
    """End the process once that reads the file `fatal`."""
    if path.endswith(fatal) and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return entries(path)


def test_rows_do_not_depend_on_processes_and_one_that_dies_is_told(tmp_path, make_clip):
    corpus = tars(tmp_path, clip_of(tmp_path, make_clip))(6)
    alone = planned(corpus, tmp_path / "alone", PlanningPool(1))
    assert isinstance(corpus.read, Files)
    fatal = partial(deadly, entries=corpus.read.entries, fatal="03.tar", mark=tmp_path / "died")
    dying = replace(corpus, read=replace(corpus.read, entries=fatal))
    with pytest.raises(PipelineError, match="a process that reads the headers of the audio has died"):
        planned(dying, tmp_path / "helped", PlanningPool(2))
    helped = planned(dying, tmp_path / "helped", PlanningPool(2))
    assert parts(tmp_path / "helped") == parts(tmp_path / "alone")
    assert helped.utterances == alone.utterances


def test_a_corpus_that_is_planned_already_is_compared_and_its_changed_file_read(tmp_path, files):
    corpus = files(6)
    planned(corpus, tmp_path / "plan", helped(2))
    before = parts(tmp_path / "plan")
    again = planned(corpus, tmp_path / "plan", helped(2))
    assert (again.new, again.changed, again.vanished) == (0, 0, 0)
    assert parts(tmp_path / "plan") == before
    changed = next(path for path in sorted((tmp_path / "audio").iterdir()) if path.stem == "04")
    os.utime(changed, ns=(0, 0))
    again = planned(corpus, tmp_path / "plan", helped(2))
    assert (again.new, again.vanished) == (0, 0)
    assert again.changed >= 3


def test_at_most_so_many_utterances_are_planned_whoever_reads_them(tmp_path, files):
    found = [
        planned(files(6), tmp_path / str(number), pool, max_samples=17).utterances
        for number, pool in enumerate((PlanningPool(1), helped(3)))
    ]
    assert found == [17, 17]


def test_a_file_that_no_helper_can_read_ends_planning_in_the_same_words(tmp_path, make_clip):
    corpus = parquets(tmp_path, clip_of(tmp_path, make_clip))(6)
    path = tmp_path / "audio/04.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    for pool in (PlanningPool(1), helped(2)):
        with pytest.raises(UsageError, match=r"04\.parquet cannot be read as Parquet"):
            planned(corpus, tmp_path / "plan", pool)


def test_a_helper_that_never_had_a_file_goes_on_where_another_was(tmp_path, files):
    corpus = files(1)
    examine = Examiner(LIMITS, lambda *given: None, frozenset(), False)
    name = corpus.files.names[0]
    first = PlanningWorker(examine, corpus, piece=2)
    pieces = [first.read(name, number, False) for number in range(6)]
    assert [len(pickle.loads(piece)) for piece in pieces][-1] == 0
    assert [
        PlanningWorker(examine, corpus, piece=2).read(name, number, False) for number in range(6)
    ] == pieces
