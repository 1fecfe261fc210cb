from __future__ import annotations

import itertools
import multiprocessing
import os
import select
import signal
import subprocess
import sys
import zlib
from collections import namedtuple
from collections.abc import Iterable, Iterator
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import torch
from audio_helpers import HarmfulSource, cut, die_at_start, speechlike, write
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pipeline.config import LimitSettings, LoadSettings
from pipeline.errors import PipelineError, UsageError
from pipeline.loader import Batch, Request, load, plan_batches, processes
from pipeline.loader.worker import Parcel, pad
from pipeline.utterance import Clip, Reason, Rejection, Utterance

NAMES = ["a.flac", "s16.wav", "a.mp3", "a.opus", "a.m4a"]
Work = list[tuple[int, list[Request]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Twelve sound clips of 0.3 to 0.9 s in five forms, and one of every kind of broken file."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(12):
        rate = [44100, 16000, 48000][number % 3] if number % 5 < 3 else 48000
        name = NAMES[number % len(NAMES)]
        written = write(folder / name, speechlike(0.3 + 0.05 * number, rate, number), rate)
        written.rename(folder / f"{number:02d}-{name}")
    cut(write(folder / "s16.wav", speechlike(1.0)), 0.5).rename(folder / "truncated.wav")
    write(folder / "s16.wav", np.zeros(48000, np.float32)).rename(folder / "silent.wav")
    write(folder / "float.wav", np.full(48000, np.nan, np.float32)).rename(folder / "nan.wav")
    write(folder / "s16.wav", speechlike(9.0)).rename(folder / "long.wav")
    write(folder / "s16.wav", speechlike(0.05)).rename(folder / "short.wav")
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("not audio at all\n" * 100)
    for harm in ("kills", "segfaults", "hangs", "interrupts", "breaks"):
        write(folder / "s16.wav", speechlike(0.4)).rename(folder / f"{harm}.wav")
    return folder


BROKEN = {
    "truncated.wav": Reason.TRUNCATED,
    "silent.wav": Reason.SILENT,
    "nan.wav": Reason.NOT_FINITE,
    "long.wav": Reason.TOO_LONG,
    "short.wav": Reason.TOO_SHORT,
    "empty.wav": Reason.EMPTY_FILE,
    "text.wav": Reason.NOT_AUDIO,
    "missing.wav": Reason.MISSING_AUDIO,
}


def sound(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("[0-9]*-*"))


def work(names: Iterable[str], size: int = 3) -> Work:
    requests = [Request(row, Utterance(name, name, "text")) for row, name in enumerate(names)]
    return [(100 + i, requests[i : i + size]) for i in range(0, len(requests), size)]


def loaded(
    folder: Path, batches: Iterable[tuple[int, list[Request]]], workers: int, **limits
) -> Iterator[Batch]:
    return load(
        batches,
        source=HarmfulSource(folder),
        sample_rate=16000,
        settings=LoadSettings(num_workers=workers, prefetch=2, batch_seconds=30, decode_timeout=1.0),
        limits=LimitSettings(**{"max_seconds": 5.0} | limits),
        pin_memory=True,
    )


def content(batches: Iterable[Batch]) -> list:
    """All that a batch says, comparable."""
    return [
        (
            batch.key,
            batch.rejections,
            batch.lengths.tolist(),
            zlib.crc32(batch.waveforms.numpy().tobytes()),
            [
                (c.row, zlib.crc32(c.waveform.numpy().tobytes()), c.sample_rate, c.duration)
                for c in batch.clips
            ],
        )
        for batch in batches
    ]


def fates(batches: Iterable[Batch]) -> dict[int, Reason | None]:
    """What became of each row; no row comes twice."""
    pairs = [
        pair
        for batch in batches
        for pair in [
            *((clip.row, None) for clip in batch.clips),
            *((row, rejection.reason) for row, rejection in batch.rejections),
        ]
    ]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


durations = st.lists(st.floats(0.0, 60.0) | st.sampled_from([0.1, 0.3, 1.0, 30.0]), max_size=80)


@examples(max_examples=200, deadline=None, derandomize=True)
@given(durations, st.floats(0.5, 300.0))
def test_batches_hold_every_clip_once_within_the_bound_and_sorted_by_length(seconds, bound):
    batches = plan_batches(seconds, bound)
    order = [index for batch in batches for index in batch]
    assert sorted(order) == list(range(len(seconds)))
    assert [(-seconds[i], i) for i in order] == sorted((-seconds[i], i) for i in order)
    for batch, following in itertools.zip_longest(batches, batches[1:]):
        longest = seconds[batch[0]]
        assert len(batch) == 1 or len(batch) * longest <= bound * (1 + 1e-9)
        if following and longest:  # a batch is closed only when one clip more would not fit
            assert (len(batch) + 1) * longest > bound * (1 - 1e-9)


@examples(max_examples=50, deadline=None, derandomize=True)
@given(durations, st.randoms(use_true_random=False))
def test_batches_of_distinct_clips_do_not_depend_on_their_order(seconds, random):
    distinct = list(dict.fromkeys(seconds))
    shuffled = random.sample(distinct, len(distinct))
    by_duration = [
        [[given[i] for i in b] for b in plan_batches(given, 60.0)] for given in (distinct, shuffled)
    ]
    assert by_duration[0] == by_duration[1]


def test_order_and_content_do_not_depend_on_the_number_of_workers(folder):
    batches = work([*sound(folder), *BROKEN, *sound(folder)])
    alone, *others = [content(loaded(folder, batches, workers)) for workers in (0, 1, 2)]
    assert [key for key, *_ in alone] == [key for key, _ in batches]
    assert others == [alone, alone]


@pytest.mark.parametrize("workers", [0, 2])
def test_lengths_lie_beside_zero_padded_waveforms_at_the_asked_rate(folder, workers):
    (batch,) = loaded(folder, work(sound(folder), size=12), workers)
    assert batch.waveforms.dtype == torch.float32
    assert batch.lengths.dtype == torch.int64
    assert batch.waveforms.shape == (12, batch.lengths.max())
    for clip, line, length in zip(batch.clips, batch.waveforms, batch.lengths, strict=True):
        assert torch.equal(line[:length], clip.waveform)
        assert not line[length:].any()
        assert len(clip.waveform) == pytest.approx(clip.duration * 16000, abs=1)
        assert clip.duration == pytest.approx(0.3 + 0.05 * clip.row, abs=0.06)
    assert {clip.sample_rate for clip in batch.clips} == {16000, 44100, 48000}


@pytest.mark.parametrize("workers", [0, 2])
def test_every_kind_of_broken_file_is_a_rejection_and_the_rest_goes_on(folder, workers):
    names = [name for pair in zip(BROKEN, sound(folder), strict=False) for name in pair]
    found = fates(loaded(folder, work(names, size=2), workers))
    assert found == {row: BROKEN.get(name) for row, name in enumerate(names)}


def test_a_batch_may_hold_no_clip(folder):
    (batch,) = loaded(folder, work(["empty.wav", "text.wav"]), 1)
    assert batch.clips == []
    assert len(batch.rejections) == 2
    assert batch.waveforms.shape[0] == batch.lengths.shape[0] == 0


def test_a_clip_cut_from_a_recording_has_its_own_length(folder):
    request = Request(7, Utterance("part", "long.wav", "text", start=2.0, end=3.5))
    (batch,) = loaded(folder, [(0, [request])], 0)
    assert batch.lengths.tolist() == [24000]
    assert batch.clips[0].duration == 1.5


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
    monkeypatch.setattr("pipeline.loader.crew.GRACE", 0.5)
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


def test_ctrl_c_reaches_the_parent_only(folder):
    assert fates(loaded(folder, work(["interrupts.wav"]), 1)) == {0: None}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bug_in_a_source_is_raised_not_rejected(folder, workers):
    with pytest.raises(RuntimeError, match="a bug in the source"):
        list(loaded(folder, work(["breaks.wav"]), workers))


def test_an_error_in_the_planning_of_batches_is_raised_as_it_is(folder):
    def failing() -> Iterator[tuple[int, list[Request]]]:
        yield from work(sound(folder))
        raise RuntimeError("the manifest is gone")

    with pytest.raises(RuntimeError, match=r"^the manifest is gone$"):
        list(loaded(folder, failing(), 1))


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_endless_batches_are_consumed_only_as_needed_and_workers_end_with_the_reader(folder, workers):
    taken = itertools.count()
    endless = ((next(taken), requests) for _, requests in itertools.cycle(work(sound(folder))))
    batches = loaded(folder, endless, workers)
    keys = [batch.key for batch in itertools.islice(batches, 10)]
    assert keys == list(range(10))
    assert next(taken) <= 10 + 1 + 2 * workers
    assert len(multiprocessing.active_children()) == workers
    batches.close()
    assert multiprocessing.active_children() == []


def test_batches_do_not_hold_files_or_shared_memory(folder):
    batches = loaded(folder, work(sound(folder) * 15), 1)
    held = [next(batches) for _ in range(5)]
    before = len(list(Path("/proc/self/fd").iterdir()))
    held += list(batches)[:-1]  # at the end a worker's own descriptors go as well
    assert len(held) == 59
    assert not any(batch.waveforms.is_shared() for batch in held)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_workers_that_die_without_a_clip_to_blame_are_an_error(folder, monkeypatch):
    monkeypatch.setattr("pipeline.loader.crew.start_worker", die_at_start)
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


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("free", "expected"),
    [(10**9, (4, 4)), (150 * 10**6, (4, 3)), (64 * 10**6, (4, 1)), (40 * 10**6, (2, 1))],
)
def test_work_in_flight_fits_into_shared_memory(monkeypatch, free, expected):
    monkeypatch.setattr(processes.shutil, "disk_usage", lambda path: Usage(free, 0, free))
    assert processes.fit_shared_memory(4, 4, 10**7) == expected


def test_too_little_shared_memory_is_said_at_the_start(monkeypatch):
    monkeypatch.setattr(processes.shutil, "disk_usage", lambda path: Usage(10**7, 0, 10**7))
    with pytest.raises(UsageError, match="enlarge it"):
        processes.fit_shared_memory(4, 4, 10**7)


def test_by_default_one_core_is_left_to_the_parent():
    assert processes.worker_count(None) == min(16, max(1, len(os.sched_getaffinity(0)) - 1))
    assert processes.worker_count(0) == 0


def test_padding_is_zero_and_of_the_longest():
    padded = pad([torch.ones(2), torch.ones(3)])
    assert padded.tolist() == [[1, 1, 0], [1, 1, 1]]


def test_a_parcel_of_thousands_of_clips_passes_the_pipe_in_one_piece():
    clips = [Clip(row, torch.ones(10), 44100, 0.1) for row in range(3000)]
    rejections = [(row, Rejection("id", "audio", Reason.SILENT, "a sentence " * 9)) for row in range(500)]
    parcel = Parcel.pack(7, clips, rejections)
    assert len(ForkingPickler.dumps(parcel)) < select.PIPE_BUF
    batch = parcel.unpack()
    assert (batch.key, batch.rejections) == (7, rejections)
    assert [clip.row for clip in batch.clips] == list(range(3000))
