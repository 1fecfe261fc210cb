"""Planning on a real Ray cluster: helpers on its nodes, and a driver that is killed meanwhile."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from engine_helpers import content, make, settings_for
from ray_helpers import NODE, NOISE_OF_RAY, ROOT, cluster_of_two
from test_pipelined import KILLS, state, until
from test_plan_files import clip_of, deadly, tars

from pipeline.build import create as creating
from pipeline.build import planning_pool, probing, reading
from pipeline.build.planning_pool import PlanningPool, StartHelper
from pipeline.corpus import Corpus, open_corpus
from pipeline.corpus.corpus import Files
from pipeline.corpus.entry import Item

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
pytestmark = NOISE_OF_RAY


@pytest.fixture(scope="module")
def cluster():
    with cluster_of_two() as cluster:
        yield cluster


@pytest.fixture
def corpus(tmp_path, make_clip) -> dict[str, str]:
    tars(tmp_path, clip_of(tmp_path, make_clip))(12)
    return {"corpus.audio": str(tmp_path / "audio")}


def read_by(
    monkeypatch: pytest.MonkeyPatch, entries: Callable[..., Iterator[Item]], **values: object
) -> None:
    """Let a run read each tar by `entries`, which is given the real one."""

    def opened(chosen: object) -> Corpus:
        corpus = open_corpus(chosen)
        assert isinstance(corpus.read, Files)
        return replace(
            corpus, read=replace(corpus.read, entries=partial(entries, corpus.read.entries, **values))
        )

    monkeypatch.setattr(creating, "open_corpus", opened)
    monkeypatch.setattr(creating, "GRACE", 0.0)
    monkeypatch.setattr(planning_pool, "cores", lambda: 1)
    for module, name, value in ((reading, "ALONE", 2), (probing, "CHUNK", 1), (probing, "AHEAD", 1)):
        monkeypatch.setattr(module, name, value)


def noted(
    entries: Callable[[str], Iterator[Item]], path: str, *, driver: int, root: Path, events: Path
) -> Iterator[Item]:
    """Wait, in the driver, until it has workers; elsewhere note the process, and end it once."""
    if os.getpid() != driver:
        (events / str(os.getpid())).touch()
        return deadly(path, entries=entries, fatal="07.tar", mark=events / "died")
    if path.endswith("03.tar"):
        until(state(root, 0).exists)
    return entries(path)


def test_helpers_of_the_cluster_read_tars_and_one_that_is_killed_is_started_again(
    cluster, tmp_path, corpus, monkeypatch
):
    whole = make(tmp_path / "local/out", settings_for(corpus))
    root, events = tmp_path / "ray/out", tmp_path / "events"
    events.mkdir()
    read_by(monkeypatch, noted, driver=os.getpid(), root=root, events=events)
    make(root, settings_for(corpus, **{"run.engine": "ray"}))
    assert content(root) == content(whole)
    assert (events / "died").exists()
    assert len(list(events.iterdir())) > 3, "two helpers, and one in place of another"


def met(
    entries: Callable[[str], Iterator[Item]], path: str, *, driver: int, root: Path, events: Path
) -> Iterator[Item]:
    """Wait, in the driver, until it has workers; elsewhere note the node, and wait once for four helpers."""
    if os.getpid() == driver:
        if path.endswith("03.tar"):
            until(state(root, 0).exists)
        return entries(path)
    (events / f"node-{ray.get_runtime_context().get_node_id()}").touch()
    if path.endswith("05.tar"):
        until(lambda: len(list(events.glob("helper-*"))) == 4)
    return entries(path)


def test_a_node_that_joins_while_the_corpus_is_planned_helps(cluster, tmp_path, corpus, monkeypatch):
    whole = make(tmp_path / "local/out", settings_for(corpus))
    root, events, add = tmp_path / "ray/out", tmp_path / "events", PlanningPool.add
    events.mkdir()

    def noted_add(pool: PlanningPool, start: StartHelper) -> None:
        add(pool, start)
        (events / f"helper-{len(list(events.glob('helper-*')))}").touch()
        if not joined:
            joined.append(cluster.add_node(**NODE))

    joined: list[Any] = []
    monkeypatch.setattr(PlanningPool, "add", noted_add)
    read_by(monkeypatch, met, driver=os.getpid(), root=root, events=events)
    make(root, settings_for(corpus, **{"run.engine": "ray"}))
    cluster.remove_node(joined[0])
    assert content(root) == content(whole)
    assert (events / f"node-{joined[0].node_id}").exists()


def test_guarantee_3_a_driver_killed_while_it_plans_and_started_again_gives_the_same_bytes(
    cluster, tmp_path, corpus
):
    whole = content(make(tmp_path / "local/out", settings_for(corpus)))
    root, instants, killed = tmp_path / "ray/out", random.Random(0), 0
    command = [sys.executable, "-c", DRIVER, cluster.address, str(root), json.dumps(corpus)]
    while killed < KILLS:
        # Instants are counted in files, so that they spread over a run however busy the machine is.
        instant = written(root) + instants.randrange(1, len(whole) // 2)
        with subprocess.Popen(command, cwd=ROOT) as driver:
            while driver.poll() is None and written(root) < instant:
                time.sleep(0.01)
            driver.kill()
        if driver.returncode == 0:
            assert content(root) == whole
            shutil.rmtree(root)
        else:
            assert driver.returncode == -signal.SIGKILL
            killed += 1
    make(root, settings_for(corpus, **{"run.engine": "ray"}))
    assert content(root) == whole


def written(root: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(root))


DRIVER = """
import json, sys
from pathlib import Path
import pytest
from engine_helpers import make, settings_for
from test_plan_ray import read_by, slowly
address, root, corpus = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
ray = {"run.engine": "ray", "run.worker_cpus": 1, "run.ray_address": address}
with pytest.MonkeyPatch.context() as patch:
    read_by(patch, slowly)
    patch.setattr("pipeline.build.engines.ray.cluster.ANSWER", 600.0)  # a busy machine is no failure
    patch.setattr("pipeline.build.engines.ray.planning.A_NODE", 1)
    make(root, settings_for(corpus, **ray))
"""


def slowly(entries: Callable[[str], Iterator[Item]], path: str) -> Iterator[Item]:
    """Let planning take as long as encoding does."""
    for item in entries(path):
        time.sleep(0.03)
        yield item
