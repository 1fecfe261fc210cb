"""Shards made on a real Ray cluster of several nodes, all on this machine."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from functools import partial

import pytest
from engine_helpers import CLIPS, annotated_killed_once, build_corpus, content, make, settings_for
from ray_helpers import NODE, NOISE_OF_RAY, ROOT, cluster_of_two
from segment_helpers import contents, record, segment_killed_once

from pipeline.__main__ import main
from pipeline.build.create import create
from pipeline.build.engines.ray.ranks import run_ranks
from pipeline.codec.fake import FakeCodec
from pipeline.config import Settings
from pipeline.dataset.reader import Dataset
from pipeline.errors import PipelineError, UsageError
from pipeline.storage.claims import claimed

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
pytestmark = NOISE_OF_RAY


@pytest.fixture(scope="module")
def cluster():
    with cluster_of_two() as cluster:
        yield cluster


@pytest.fixture
def corpus(tmp_path, make_clip):
    return build_corpus(tmp_path, make_clip)


def use(monkeypatch, codec):
    monkeypatch.setattr("pipeline.codec.load_codec", codec)


def on_ray(corpus: dict[str, str], **values: object):
    return settings_for(corpus, **{"run.engine": "ray", **values})


def test_the_bytes_are_those_of_one_process_and_all_rejections_are_counted(
    cluster, tmp_path, corpus, monkeypatch
):
    measured = {"run.annotate": "level,fingerprint"}
    root = make(tmp_path / "ray/out", on_ray(corpus, **measured))
    assert content(root) == content(make(tmp_path / "local/out", settings_for(corpus, **measured)))
    assert len(list((root / "annotations").rglob("*.parquet"))) == 2 * len(Dataset(root).states())
    stats = json.loads((root / "stats.json").read_text())
    assert (stats["rows"], stats["rejected"]) == (CLIPS, 2)


def test_what_the_codec_has_to_say_is_told_of_one_worker(cluster, tmp_path, corpus, monkeypatch):
    class Talkative(FakeCodec):
        def report(self) -> str:
            return "as it pleased"

    use(monkeypatch, lambda settings, decoder=True: Talkative())
    told: list[str] = []
    make(tmp_path / "out", on_ray(corpus), told.append)
    lines = [line for line in told if line.startswith(("codec: ", "encoder: "))]
    assert lines == ["codec: fake:, 65,536 codes, licence CC0-1.0", "encoder: as it pleased"]


def test_a_killed_node_costs_the_shards_it_held_and_a_joining_one_makes_them(
    cluster, tmp_path, corpus, monkeypatch
):
    root, events = tmp_path / "ray/out", tmp_path / "events"
    events.mkdir()

    def noted(settings, decoder=True):
        """Notes where it is opened."""
        (events / f"{ray.get_runtime_context().get_node_id()}-{os.getpid()}").touch()
        return FakeCodec(seconds_a_batch=0.15)

    use(monkeypatch, noted)
    victim = cluster.list_all_nodes()[-1]
    joined = []

    def say(line: str) -> None:
        if "was lost" in line and not joined:
            joined.append(cluster.add_node(**NODE))

    raylet = victim.all_processes["raylet"][0].process.pid
    killer = subprocess.Popen([sys.executable, "-c", KILLER, root / "state", events, str(raylet)])
    with claimed(root):
        create(root, on_ray(corpus, **{"output.shard_size": 2}), say)
    assert killer.wait() == 0
    assert len(joined) == 1
    nodes = {path.name.rpartition("-")[0] for path in events.iterdir()}
    assert nodes == {victim.node_id, joined[0].node_id}
    whole = make(tmp_path / "local/out", settings_for(corpus, **{"output.shard_size": 2}))
    assert content(root) == content(whole)


# As a node that loses power: once a shard is done, its raylet and its worker are killed at once.
KILLER = """
import os, signal, sys, time
from pathlib import Path
state, events, raylet = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
while not list(state.glob("*.json")):
    time.sleep(0.01)
for pid in [raylet, *(int(path.name.rpartition("-")[2]) for path in events.iterdir())]:
    os.kill(pid, signal.SIGKILL)
"""


def test_a_driver_that_died_may_be_started_again(cluster, tmp_path, corpus, monkeypatch):
    root = tmp_path / "ray/out"
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, cluster.address, str(root), json.dumps(corpus)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout is not None
    driver.stdout.readline()  # a shard is done
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    driver.stdout.close()
    make(root, on_ray(corpus))
    assert content(root) == content(make(tmp_path / "local/out", settings_for(corpus)))


DRIVER = """
import json, sys, threading, time
from pathlib import Path
import ray
from engine_helpers import make, settings_for
from pipeline import codec
from pipeline.codec.fake import FakeCodec
from pipeline.config import Settings
address, root, corpus = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
codec.load_codec = lambda settings, decoder=True: FakeCodec(seconds_a_batch=0.3)

def watch():
    while not list((root / "state").glob("*.json")):
        time.sleep(0.01)
    print("done", flush=True)

threading.Thread(target=watch, daemon=True).start()
make(root, settings_for(corpus, **{"run.engine": "ray", "run.worker_cpus": 1, "run.ray_address": address}))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_in_one_line_and_ray_says_nothing(tmp_path, corpus, number):
    state = tmp_path / "out" / "state"
    command = [*(sys.executable, "create_dataset.py", corpus["corpus.audio"], corpus["corpus.text"])]
    command += ["-o", str(tmp_path / "out"), "--engine", "ray", "--codec", "fake:seconds_a_batch=0.3"]
    command += ["--shard-size", "2", "--batch-seconds", "1"]
    run = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in a job of a script
    )
    watcher = subprocess.Popen([sys.executable, "-c", SIGNALLER, str(state), str(run.pid), str(int(number))])
    _, said = run.communicate()
    assert watcher.wait() == 0
    assert (run.returncode, said.splitlines()[-1:]) == (
        130,
        ["interrupted; run the same command again to go on"],
    )
    assert [line for line in said.splitlines() if "encoding" not in line] == said.splitlines()[-1:]


SIGNALLER = """
import os, sys, time
from pathlib import Path
while not list(Path(sys.argv[1]).glob("*.json")):
    os.kill(int(sys.argv[2]), 0)  # raises once the run has ended by itself
    time.sleep(0.01)
os.kill(int(sys.argv[2]), int(sys.argv[3]))
"""


def test_a_worker_takes_what_cores_there_are():
    from pipeline.build.engines.ray.cluster import worker_share

    def share(*nodes, **values):
        return worker_share(nodes, Settings().with_values({"codec.device": "auto", **values}))

    assert share({"CPU": 0}, {"CPU": 2}) == {"CPU": 2, "GPU": 0}
    assert share({"CPU": 64}) == {"CPU": 4, "GPU": 0}
    assert share({"CPU": 64}, {"CPU": 3, "GPU": 1}) == {"CPU": 3, "GPU": 1}
    assert share({"CPU": 8, "GPU": 1}, **{"codec.device": "cpu"}) == {"CPU": 4, "GPU": 0}
    with pytest.raises(UsageError, match="no node of the Ray cluster has a core for a worker"):
        share({"CPU": 0.5}, {})
    with pytest.raises(UsageError, match="no node of the Ray cluster with a GPU has a core"):
        share({"CPU": 8}, {"GPU": 1})


def test_an_error_of_the_user_in_a_worker_is_told_as_such(cluster, tmp_path, corpus, monkeypatch):
    def refused(settings, decoder=True):
        raise UsageError("there is no such codec")

    use(monkeypatch, refused)
    with pytest.raises(UsageError, match=r"^there is no such codec$"):
        make(tmp_path / "out", on_ray(corpus))


def test_what_the_system_refuses_a_worker_is_told_as_such(cluster, tmp_path, corpus, monkeypatch):
    class Full(FakeCodec):
        def encode(self, waveforms, lengths):
            raise OSError(errno.ENOSPC, "No space left on device", "/data/out/shard")

    use(monkeypatch, lambda settings, decoder=True: Full())
    with pytest.raises(OSError, match="No space left") as refused:
        make(tmp_path / "out", on_ray(corpus))
    assert (refused.value.errno, refused.value.filename) == (errno.ENOSPC, "/data/out/shard")


def test_a_run_without_workers_says_so_and_ends_when_none_comes(cluster, tmp_path, corpus, monkeypatch):
    """The cluster loses its only node with a core; the same command goes on once there is one again."""
    monkeypatch.setattr("pipeline.build.engines.ray.scheduler.NOTICE", 0.2)
    use(monkeypatch, lambda settings, decoder=True: FakeCodec(seconds_a_batch=0.15))
    root, said = tmp_path / "out", []
    settings = on_ray(corpus, **{"output.shard_size": 2})
    impatient = settings.with_values({"run.ray_patience": 2.0})
    victim = cluster.list_all_nodes()[-1]

    def say(line: str) -> None:
        said.append(line)
        if "room for" in line and "now" in line:
            cluster.remove_node(victim)

    with (
        pytest.raises(PipelineError, match=r"^for 2 s no node of the Ray cluster had room for a worker"),
        claimed(root),
    ):
        create(root, impatient, say)
    assert any("no node has room for a worker, which takes 1 cores; waiting 2 s" in line for line in said)
    cluster.add_node(**NODE)  # returns once it has joined
    whole = make(tmp_path / "local/out", settings_for(corpus, **{"output.shard_size": 2}))
    assert content(make(root, settings)) == content(whole)


def test_a_cluster_that_does_not_answer_ends_the_run(monkeypatch):
    from pipeline.build.engines.ray import cluster

    monkeypatch.setattr(cluster, "ANSWER", 0.05)
    silent = threading.Event()
    with pytest.raises(PipelineError, match=r"the head of the Ray cluster has not answered for 0\.05 s"):
        cluster.answered(silent.wait)
    silent.set()


def test_a_worker_that_crashes_is_told_of_in_our_words_alone(tmp_path, corpus):
    run = subprocess.run(
        [sys.executable, "-c", CRASHING, str(tmp_path / "out"), json.dumps(corpus)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == ["ray: worker 0 was lost; others make its shards"]
    assert [line for line in run.stderr.splitlines() if "encoding" not in line] == []


CRASHING = """
import os, signal, sys, json
from pathlib import Path
from engine_helpers import settings_for
from pipeline import codec
from pipeline.__main__ import main
from pipeline.build.create import create
from pipeline.build.engines.ray.ranks import run_ranks
from pipeline.codec.fake import FakeCodec
root, corpus = Path(sys.argv[1]), json.loads(sys.argv[2])

def crashes_once(settings, decoder=True):
    if not (root / "crashed").exists():
        (root / "crashed").touch()
        os.kill(os.getpid(), signal.SIGSEGV)
    return FakeCodec()

codec.load_codec = crashes_once
root.mkdir()
create(root, settings_for(corpus, **{"run.engine": "ray", "run.ray_workers": 1, "run.worker_cpus": 1}),
       lambda line: "lost" in line and print(line))
"""


def test_a_shard_that_takes_worker_after_worker_down_ends_the_run(cluster, tmp_path, corpus, monkeypatch):
    class Deadly(FakeCodec):
        def encode(self, waveforms, lengths):
            os.kill(os.getpid(), signal.SIGKILL)

    use(monkeypatch, lambda settings, decoder=True: Deadly())
    with pytest.raises(PipelineError, match=r"shard \d was at work in 3 workers that were lost"):
        make(tmp_path / "out", on_ray(corpus))
    assert Dataset(tmp_path / "out").states() == []


def test_annotations_made_on_a_cluster_are_those_made_here_also_if_its_workers_are_killed(
    cluster, tmp_path, corpus, monkeypatch, capsys
):
    there = make(tmp_path / "there/out", settings_for(corpus))
    shutil.copytree(there, tmp_path / "here/out")
    names = ["annotate", "--with", "level,copies,transcript", "--asr", "fake:"]
    assert main([*names, str(tmp_path / "here/out")]) == 0
    monkeypatch.setattr("pipeline.annotate.listening.decode", None)  # not here: in the workers
    words = ["--engine", "ray", "--ray-address", cluster.address, "--device", "cpu"]
    assert main([*names, *words, str(there)]) == 0
    assert re.search(r"ray: \d workers, with 1 cores each", capsys.readouterr().out)
    assert contents(there) == contents(tmp_path / "here/out")
    shutil.rmtree(there / "annotations")
    settings = Settings().with_values({"run.ray_address": cluster.address, "codec.device": "cpu"})
    run_ranks(partial(annotated_killed_once, there, names[2].split(",")), settings, print)
    assert list(there.parent.glob("killed-*"))
    assert contents(there) == contents(tmp_path / "here/out")


def test_segment_on_a_cluster_writes_what_it_does_here_and_so_it_does_if_its_workers_are_killed(
    cluster, tmp_path
):
    for name in ("a", "b", "c"):
        record(tmp_path / f"in/{name}.wav", [1, 0])
    arguments = ("segment", str(tmp_path / "in"), "--asr", "fake:", "--part-size", "1", "-o")
    assert main([*arguments, str(tmp_path / "here")]) == 0
    there = [*arguments, str(tmp_path / "there"), "--engine", "ray", "--ray-address", cluster.address]
    assert main(there) == 0
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    settings = Settings().with_values({"run.ray_address": cluster.address, "codec.device": "cpu"})
    run_ranks(partial(segment_killed_once, tmp_path), settings, print)
    assert list(tmp_path.glob("killed-*"))
    assert contents(tmp_path / "killed") == contents(tmp_path / "here")
