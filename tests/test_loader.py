from __future__ import annotations

import itertools
import multiprocessing
import os
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from loader_helpers import BROKEN, content, fates, loaded, make_clips, sound, work

from pipeline.errors import UsageError
from pipeline.loader import Request, processes
from pipeline.loader.worker import pad
from pipeline.utterance import Utterance


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_clips(tmp_path_factory.mktemp("clips"))


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
