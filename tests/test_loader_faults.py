from __future__ import annotations

import multiprocessing
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from random import Random

import pytest
import torch
from audio_helpers import die_at_start
from loader_helpers import content, fates, loaded, make_clips, sound, work
from torch.utils.data import DataLoader

from pipeline.errors import PipelineError
from pipeline.loader import Request
from pipeline.loader.worker import PackedBatch
from pipeline.utterance import Clip, Reason, Rejection


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_clips(tmp_path_factory.mktemp("clips"))


@pytest.mark.parametrize("harm", ["kills", "segfaults"])
def test_only_the_clip_that_takes_its_worker_down_is_rejected(folder, harm):
    names = sound(folder)
    expected = content(loaded(folder, work([*names[:4], "missing.wav", *names[4:]]), 0))
    found = list(loaded(folder, work([*names[:4], f"{harm}.wav", *names[4:]]), 2))
    assert fates(found)[4] is Reason.DECODER_CRASHED
    assert [part[2:] for part in content(found)] == [part[2:] for part in expected]


def test_many_deadly_clips_are_each_found(folder):
    names = ["kills.wav", *sound(folder)[:5], "kills.wav", "kills.wav"]
    found = fates(loaded(folder, work(names, size=2), 2))
    assert [row for row, reason in found.items() if reason] == [0, 6, 7]
    assert set(found) == set(range(8))


def test_a_decoder_that_hangs_is_killed_and_its_clip_rejected(folder, monkeypatch):
    monkeypatch.setattr("pipeline.loader.pool.GRACE", 0.5)
    names = [*sound(folder)[:3], "hangs.wav", *sound(folder)[3:]]
    found = fates(loaded(folder, work(names), 2))
    assert {row: reason for row, reason in found.items() if reason} == {3: Reason.DECODE_TIMEOUT}
    assert set(found) == set(range(len(names)))


def test_a_clip_whose_worker_was_killed_for_another_reason_is_kept(folder, tmp_path):
    for name in sound(folder)[:4]:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "once.flac").write_bytes((tmp_path / "00-a.flac").read_bytes())
    names = [*sound(tmp_path), "once.flac"]
    found = fates(loaded(tmp_path, work(names, size=2), 2))
    assert found == dict.fromkeys(range(5))
    assert (tmp_path / "once.seen").exists()


def test_a_worker_that_is_killed_before_the_others_have_started_costs_no_clip(folder, monkeypatch):
    killed = []

    class KillsOne(DataLoader):
        def __iter__(self):
            batches = super().__iter__()
            if not killed:
                killed.append(multiprocessing.active_children()[0])
                killed[0].kill()
                killed[0].join()
            return batches

    monkeypatch.setattr("pipeline.loader.pool.DataLoader", KillsOne)
    names = sound(folder)
    assert content(loaded(folder, work(names), 2)) == content(loaded(folder, work(names), 0))
    assert killed


def test_a_worker_that_was_stopped_goes_on_and_its_clip_is_kept(folder, tmp_path):
    for name in ("00-a.flac", "stops.flac"):
        (tmp_path / name).write_bytes((folder / "00-a.flac").read_bytes())
    assert fates(loaded(tmp_path, work(["00-a.flac", "stops.flac"], size=1), 2)) == {0: None, 1: None}
    assert (tmp_path / "stops.seen").exists()


def test_a_run_that_was_stopped_for_longer_than_a_decode_may_take_loses_no_clip(folder):
    """The process stops itself while it reads the header; it is continued when its deadline has gone by."""
    script = (
        "import io, os, signal, sys; from pipeline.audio.decode import decode\n"
        "class Stops(io.FileIO):\n"
        "    def read(self, size=-1):\n"
        "        os.kill(os.getpid(), signal.SIGSTOP)\n"
        "        return super().read(size)\n"
        "import torch\n"
        "print(len(decode(Stops(sys.argv[1]), max_seconds=5, deadline_seconds=0.2)[0]))"
    )
    command = [sys.executable, "-c", script, str(folder / "00-a.flac")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1]):
            stopped = time.monotonic()
            while time.monotonic() < stopped + 0.3:
                pass
            process.send_signal(signal.SIGCONT)
        assert process.stdout is not None
        assert process.stdout.read() == "13230\n"


def test_workers_killed_at_random_cost_no_clip(folder):
    names = sound(folder) * 2
    random, found = Random(0), []
    for batch in loaded(folder, work(names), 2):
        found.append(batch)
        os.kill(random.choice(multiprocessing.active_children()).pid, signal.SIGKILL)
    expected = content(loaded(folder, work(names), 0))
    assert content(found) == expected


def test_a_clip_whose_processes_are_killed_again_and_again_by_others_is_kept(folder, tmp_path):
    (tmp_path / "thrice.flac").write_bytes((folder / "00-a.flac").read_bytes())
    assert fates(loaded(tmp_path, work(["thrice.flac"]), 1)) == {0: None}


def test_ctrl_c_reaches_the_parent_only(folder):
    assert fates(loaded(folder, work(["interrupts.wav"]), 1)) == {0: None}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bug_in_a_source_is_raised_not_rejected(folder, workers):
    with pytest.raises(RuntimeError, match="a bug in the source"):
        list(loaded(folder, work(["breaks.wav"]), workers))


def test_an_error_in_the_planning_of_batches_is_raised_as_it_is_after_what_was_planned(folder):
    def failing() -> Iterator[tuple[int, list[Request]]]:
        yield from work(sound(folder))
        raise RuntimeError("the manifest is gone")

    batches = loaded(folder, failing(), 1)
    found = fates(next(batches) for _ in work(sound(folder)))
    assert found == dict.fromkeys(range(len(sound(folder))))
    with pytest.raises(RuntimeError, match=r"^the manifest is gone$"):
        next(batches)


def test_workers_that_die_without_a_clip_to_blame_are_an_error(folder, monkeypatch):
    monkeypatch.setattr("pipeline.loader.pool.start_worker", die_at_start)
    with pytest.raises(PipelineError, match="no clip to blame"):
        list(loaded(folder, work(sound(folder)), 1))


ORPHANS = """
import sys
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from audio_helpers import HarmfulSource
from pipeline.config import LimitSettings, LoadSettings
from pipeline.loader import Request, load
from pipeline.utterance import Utterance
import multiprocessing

def main():
    endless = ((i, [Request(i, Utterance("x", "00-a.flac", "text"))]) for i in range(10**9))
    for batch in load(endless, source=HarmfulSource(Path(sys.argv[1])), sample_rate=16000,
                      settings=LoadSettings(num_workers=2), limits=LimitSettings(), pin_memory=False):
        print(*[child.pid for child in multiprocessing.active_children()], flush=True)
        sys.stdin.readline()

if __name__ == "__main__":
    main()
"""


def test_no_worker_outlives_a_parent_that_was_killed(folder, tmp_path):
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS)
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    with subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as parent:
        assert parent.stdout is not None
        workers = [os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        for worker in workers:
            assert select.select([worker], [], [], 20)[0], "a worker is still running"
            os.close(worker)


LATE = """
import os
from _multiprocessing import sem_unlink
from pipeline.loader.processes import fork_server

context = fork_server()
lock = context.Lock()
sem_unlink(lock._semlock.name)
child = context.Process(target=print, args=(lock,))
child.start()
child.join()
print(child.exitcode, flush=True)
os._exit(0)
"""


def test_a_process_that_starts_when_its_run_has_gone_ends_without_a_word():
    """Its semaphore is gone, as when a run is killed at that moment."""
    run = subprocess.run(
        [sys.executable, "-c", LATE], cwd=Path(__file__).parents[1], capture_output=True, text=True
    )
    assert run.stdout == "1\n"
    assert "Traceback" not in run.stderr


def test_a_parcel_of_thousands_of_clips_passes_the_pipe_in_one_piece():
    clips = [Clip(row, torch.ones(10), 44100, 0.1) for row in range(3000)]
    rejections = [(row, Rejection("id", "audio", Reason.SILENT, "a sentence " * 9)) for row in range(500)]
    packed = PackedBatch.pack(7, clips, rejections)
    assert len(ForkingPickler.dumps(packed)) < select.PIPE_BUF
    batch = packed.unpack()
    assert (batch.key, batch.rejections) == (7, rejections)
    assert [clip.row for clip in batch.clips] == list(range(3000))
