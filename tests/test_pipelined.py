"""Shards are made while planning goes on, and are those of a plan made whole, wherever planning was ended."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import soundfile
from corpus_helpers import ListedCorpus
from engine_helpers import build_corpus, content, make, settings_for
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_resume import killed_after

from pipeline.build import create as creating
from pipeline.build import probing
from pipeline.build.batching import BatchShapes
from pipeline.build.create import create, make_plan
from pipeline.build.feed import AHEAD, ShardFeed
from pipeline.build.plan import Planning, plan
from pipeline.build.planning_pool import PlanningPool
from pipeline.build.ranks import create_rank
from pipeline.codec.fake import FakeCodec
from pipeline.config import LimitSettings, Settings
from pipeline.corpus import Corpus, open_corpus
from pipeline.dataset.folder import open_or_init
from pipeline.dataset.manifest import Manifest, ManifestRow, ShardPlan
from pipeline.dataset.mark import is_growing, read_mark
from pipeline.dataset.reader import Dataset
from pipeline.errors import UsageError
from pipeline.storage.claims import Rank, claimed, claimed_rank
from pipeline.utterance import Utterance

KILLS = int(os.environ.get("PLAN_KILLS", "2"))  # of each way to run; docs/scale.md gives the longer one
PATIENCE = 60.0  # seconds until a test that waits for another thread gives up


@pytest.fixture
def corpus(tmp_path, make_clip) -> dict[str, str]:
    return build_corpus(tmp_path, make_clip)


@pytest.fixture(autouse=True)
def few_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let planning read few entries ahead of those it examined, so that a small corpus is not one step."""
    for name, value in {"CHUNK": 1, "AHEAD": 1, "THREADS": 2}.items():
        monkeypatch.setattr(probing, name, value)


def until(happened: Callable[[], bool]) -> None:
    """Wait for another thread or process."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def read_with(monkeypatch: pytest.MonkeyPatch, before: Callable[[int], object]) -> None:
    """Call `before` with the number of each entry before a run reads it."""

    def opened(chosen: object) -> Corpus:
        corpus = open_corpus(chosen)
        read = corpus.read

        def watched() -> Iterator[object]:
            for number, item in enumerate(read()):
                before(number)
                yield item

        return replace(corpus, read=watched)

    monkeypatch.setattr(creating, "open_corpus", opened)


def state(root: Path, shard: int) -> Path:
    return root / f"state/train-{shard:05d}.json"


@pytest.mark.parametrize("form", ["jsonl", "arrow", "parquet"])
def test_a_shard_is_done_before_the_corpus_is_read_to_its_end_and_a_late_column_is_in_all(
    tmp_path, corpus, monkeypatch, form
):
    lines = Path(corpus["corpus.text"]).read_text().splitlines()
    entries = [dict(zip(("audio", "text"), line.split(":", 1), strict=True)) for line in lines]
    entries[-3]["speaker"] = "late"
    path = tmp_path / "text.jsonl"
    path.write_text("".join(json.dumps({"id": e["audio"]} | e) + "\n" for e in entries))
    chosen = settings_for(corpus | {"corpus.text": str(path)}, **{"output.format": form})
    whole = make(tmp_path / "whole/out", chosen)
    root = tmp_path / "pipelined/out"
    monkeypatch.setattr(creating, "GRACE", 0.0)
    without = []

    def wait(number: int) -> None:
        if number == 20:
            until(state(root, 0).exists)
            without.append("speaker" not in Dataset(root).states()[0].columns)
            assert is_growing(root / "manifest")

    read_with(monkeypatch, wait)
    make(root, chosen)
    assert without == [True]
    assert content(root) == content(whole)
    assert "speaker" in Dataset(root).states()[0].columns


def test_a_form_that_took_long_to_find_is_named_and_need_not_be_looked_for_again(
    tmp_path, corpus, monkeypatch
):
    monkeypatch.setattr(creating, "LONG", -1.0)
    said: list[str] = []
    whole = make(tmp_path / "found/out", settings_for(corpus), said.append)
    assert said[0].endswith("--transcripts columns spares that")
    said.clear()
    named = settings_for(corpus | {"corpus.transcripts": "columns"})
    again = content(make(tmp_path / "named/out", named, said.append))
    changed = {name for name, raw in again.items() if raw != content(whole)[name]}
    assert changed <= {"README.md", "config.yaml", "stats.json"}
    assert "--transcripts" not in said[0]


def test_a_run_that_goes_on_makes_shards_before_it_has_compared_the_corpus_with_its_plan(
    tmp_path, corpus, monkeypatch
):
    chosen = settings_for(corpus)
    root = make(tmp_path / "out", chosen)
    finished = content(root)
    state(root, 3).unlink()
    read_with(monkeypatch, lambda number: until(state(root, 3).exists))
    make(root, chosen)
    assert content(root) == finished


def test_a_shard_of_files_that_changed_waits_until_they_are_planned_anew(
    tmp_path, corpus, monkeypatch, make_clip
):
    chosen = settings_for(corpus)
    root = make(tmp_path / "out", chosen)
    state(root, 3).unlink()
    make_clip("u16.wav", seconds=1.5)
    seen = []
    read_with(monkeypatch, lambda number: seen.append(state(root, 3).exists()))
    make(root, chosen)
    assert not any(seen)
    assert 1.5 in Dataset(root).table(3)["duration"].to_pylist()


def test_another_corpus_makes_and_changes_nothing(tmp_path, corpus, make_clip):
    root = make(tmp_path / "out", settings_for(corpus))
    state(root, 3).unlink()
    before = content(root)
    make_clip("other.wav", folder=tmp_path / "others")
    (tmp_path / "others/text.txt").write_text("other:text\n")
    others = {"corpus.audio": str(tmp_path / "others"), "corpus.text": str(tmp_path / "others/text.txt")}
    with pytest.raises(UsageError, match="made from another corpus"):
        make(root, settings_for(others))
    assert content(root) == before


def test_a_dataset_is_not_finished_until_its_corpus_is_planned_whole(tmp_path, corpus, monkeypatch):
    root, chosen = tmp_path / "out", settings_for(corpus)
    monkeypatch.setattr(creating, "GRACE", 0.0)

    def fail(number: int) -> None:
        if number == 20:
            until(state(root, 0).exists)
            raise UsageError("the transcripts cannot be read on")

    with monkeypatch.context() as patch:
        read_with(patch, fail)
        with pytest.raises(UsageError, match="cannot be read on"):
            make(root, chosen)
    with pytest.raises(UsageError, match="not finished"):
        Dataset(root).check_files()
    make(root, chosen)
    Dataset(root).check_files()
    assert content(root) == content(make(tmp_path / "whole/out", chosen))


# Planning alone, ended at any utterance.


class Killed(BaseException):
    """As SIGKILL: nothing that ends a pass well is done."""


def listed(root: Path, count: int) -> ListedCorpus:
    return ListedCorpus(root, [Utterance(f"u{n % 29}", "a.wav", f"text {n}") for n in range(count)])


def killed_at(corpus: ListedCorpus, number: int) -> ListedCorpus:
    class Deadly(ListedCorpus):
        def utterances(self) -> Iterator[Utterance]:
            yield from self.entries[:number]
            raise Killed

    return Deadly(corpus.root, corpus.entries)


def planning(corpus: ListedCorpus, folder: Path) -> Planning:
    return Planning(corpus, folder, limits=LimitSettings(), shard_size=3, pool=PlanningPool(1))


def shards_of(folder: Path) -> list[ShardPlan]:
    return [replace(shard, chunk=Path(shard.chunk.name)) for shard in Manifest(folder).shards]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 40), st.lists(st.integers(0, 90), max_size=3)), max_size=3))
def test_a_growing_killed_and_restarted_plan_keeps_its_beginning_and_is_that_of_undisturbed_passes(passes):
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.dataset.manifest.MAX_SHARDS", 4)
        root = Path(folder)
        soundfile.write(root / "a.wav", np.zeros(3200, np.float32), 16000)
        count, seen = 0, list[ShardPlan]()
        for grown, kills in passes:
            count += grown
            for kill in kills:
                released: list[ShardPlan] = []
                with contextlib.suppress(Killed):
                    for shards in planning(killed_at(listed(root, count), kill), root / "killed").chunks():
                        released += shards
                now = shards_of(root / "killed")
                assert now[: len(seen)] == seen
                assert all(replace(shard, chunk=Path(shard.chunk.name)) in now for shard in released)
                seen = now
            for name in ("killed", "whole"):
                for _ in planning(listed(root, count), root / name).chunks():
                    pass
            seen = shards_of(root / "killed")
            killed, whole = (
                {p.name: p.read_bytes() for p in (root / n).iterdir()} for n in ("killed", "whole")
            )
            assert {n: b for n, b in killed.items() if n.startswith("part")} == {
                n: b for n, b in whole.items() if n.startswith("part")
            }


def test_what_a_pass_over_another_corpus_had_planned_when_it_was_killed_is_dropped(tmp_path, make_clip):
    make_clip("a.wav", folder=tmp_path)
    right = listed(tmp_path, 10)
    for _ in planning(right, tmp_path / "manifest").chunks():
        pass
    before = shards_of(tmp_path / "manifest")
    wrong = ListedCorpus(tmp_path, [Utterance(f"other{n}", "a.wav", "text") for n in range(20)])
    with contextlib.suppress(Killed):
        for shards in planning(killed_at(wrong, 20), tmp_path / "manifest").chunks():
            assert shards == [], "not before it is sure"
    assert len(shards_of(tmp_path / "manifest")) > len(before)
    for _ in planning(right, tmp_path / "manifest").chunks():
        pass
    assert shards_of(tmp_path / "manifest") == before


def test_rows_do_not_depend_on_how_many_processes_read_headers(tmp_path, corpus, monkeypatch):
    monkeypatch.setattr(probing, "ALONE", 2)
    monkeypatch.setattr(probing, "CHUNK", 3)
    opened = open_corpus(settings_for(corpus).corpus)
    found = [
        list(
            plan(
                opened,
                tmp_path / f"manifest-{processes}",
                limits=LimitSettings(),
                shard_size=5,
                pool=PlanningPool(processes),
            )[0].read_rows()
        )
        for processes in (1, 2)
    ]
    assert found[0] == found[1]
    assert len(found[0]) == 26


def test_planning_waits_while_many_shards_are_not_taken():
    shard = ShardPlan(0, 0, 1, "digest", Path("part"), 0)
    planned = []

    def endless(progress: Callable[[int], object]) -> Iterator[list[ShardPlan]]:
        while True:
            planned.append(shard)
            yield [shard]

    with ShardFeed(endless) as feed:
        until(lambda: len(feed.numbers) == AHEAD)
        assert len(planned) == AHEAD
        assert len(feed.take(10)) == 10
        until(lambda: len(feed.numbers) == AHEAD + 10)
        assert len(planned) == AHEAD + 10


def test_shapes_of_a_shard_follow_from_its_chunk_and_the_first_whatever_is_planned_later(tmp_path):
    def rows(first: int, seconds: float) -> list[ManifestRow]:
        return [
            ManifestRow(Utterance(f"u{first + n}", "a.wav", "text"), 1, 1, seconds + n / 100, 16000)
            for n in range(40)
        ]

    lengths = (5.0, 5.0, 5.0, 5.0, 20.0, 20.0, 20.0, 20.0)
    groups = [rows(number * 40, seconds) for number, seconds in enumerate(lengths)]
    manifest, told = Manifest(tmp_path), []

    class Noting(FakeCodec):
        def expect(self, shapes: object, seconds: float) -> None:
            told.append((shapes, seconds))

    chosen = Settings().with_values({"output.shard_size": 40})
    early = []
    for shards in manifest.append(groups, stood=0):
        early += [BatchShapes(Noting(), chosen).of(shard) for shard in shards]
    late = BatchShapes(Noting(), chosen)
    assert [late.of(shard) for shard in manifest.shards] == early
    assert early[0] == early[1] == early[2] == early[3]
    assert early[4] == early[7] != early[0]
    for shard in manifest.shards:
        late.announce(shard)
    assert [shapes for shapes, _ in told] == [early[0], early[0], early[0], early[4]]
    assert [round(seconds / 40) for _, seconds in told] == [5, 10, 21, 162]


# The whole loop, killed while planning goes on.


def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let planning take as long as encoding does."""
    monkeypatch.setattr(creating, "GRACE", 0.0)
    read_with(monkeypatch, lambda number: time.sleep(0.03))


def run(root: Path, chosen: Settings) -> None:
    with claimed(root):
        create(root, chosen, lambda line: None)


@pytest.mark.parametrize("form", ["jsonl", "arrow", "parquet"])
def test_guarantee_3_killed_while_planning_and_run_again_gives_the_same_bytes(
    tmp_path, corpus, monkeypatch, form
):
    chosen = settings_for(corpus, **{"output.format": form, "codec.name": "fake:seconds_a_batch=0.01"})
    whole = content(make(tmp_path / "whole/out", chosen))
    slowly(monkeypatch)
    instants, root, killed = random.Random(form), tmp_path / "killed/out", 0
    while killed < KILLS:
        if killed_after(instants.uniform(0.1, 0.9), lambda: run(root, chosen)):
            killed += 1
        else:
            assert content(root) == whole
            shutil.rmtree(root)
    run(root, chosen)
    assert content(root) == whole


def test_guarantee_3_a_part_killed_while_it_plans_costs_the_others_nothing(tmp_path, corpus, monkeypatch):
    monkeypatch.setattr("pipeline.build.ranks.POLL", 0.05)
    monkeypatch.setattr("pipeline.build.ranks.LOOK", 0.1)
    chosen = settings_for(corpus)
    whole = content(make(tmp_path / "whole/out", chosen))
    slowly(monkeypatch)
    instants = random.Random(0)
    for kill in range(KILLS):
        root = tmp_path / f"killed-{kill}/out"
        with ThreadPoolExecutor(1) as pool:
            killed = killed_after(
                instants.uniform(0.2, 0.9),
                lambda root=root: create_rank(root, chosen, Rank(0, 2), lambda line: None),
            )
            follower = pool.submit(create_rank, root, chosen, Rank(1, 2), lambda line: None)
            follower.result(PATIENCE)
        assert killed
        run(root, chosen)
        assert content(root) == whole


def test_a_part_makes_shards_while_another_plans(tmp_path, corpus, monkeypatch):
    monkeypatch.setattr(creating, "GRACE", 0.0)
    chosen, root = settings_for(corpus), tmp_path / "parts/out"

    def wait(number: int) -> None:
        if number == 22:
            until(state(root, 1).exists)

    read_with(monkeypatch, wait)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(create_rank, root, chosen, Rank(0, 2), lambda line: None)
        until(lambda: read_mark(root / "manifest") is not None)
        second = pool.submit(create_rank, root, chosen, Rank(1, 2), lambda line: None)
        ended = [first.result(PATIENCE), second.result(PATIENCE)]
    assert any(ended)
    monkeypatch.undo()
    assert content(root) == content(make(tmp_path / "whole/out", chosen))


def test_a_part_does_not_close_a_dataset_of_which_nothing_could_be_planned(tmp_path, corpus):
    chosen, root = settings_for(corpus), tmp_path / "out"
    with claimed_rank(root, Rank(0, 2), print) as claim:
        open_or_init(root, chosen)
        claim.planned()  # and then it fails
        assert create_rank(root, chosen, Rank(1, 2), lambda line: None) is None
    assert not (root / "stats.json").exists()


def test_a_plan_made_by_itself_is_encoded_from_as_it_is(tmp_path, corpus):
    chosen, root = settings_for(corpus), tmp_path / "out"
    with claimed(root):
        make_plan(root, chosen, lambda line: None)
    assert not is_growing(root / "manifest")
    make(root, chosen)
    assert content(root) == content(make(tmp_path / "whole/out", chosen))
