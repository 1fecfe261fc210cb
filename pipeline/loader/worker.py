"""What runs in a loader's worker process: requests in, one packed batch out.

A worker writes in a shared table which clip it is at, so that its death has a name.
"""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.util import Finalize, get_temp_dir
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from pipeline.audio.decode import AudioError, decode, open_audio, resample
from pipeline.audio.decoders import silence_native_output
from pipeline.audio.source import AudioSource
from pipeline.config import LimitSettings
from pipeline.loader.batch import Batch, Request
from pipeline.runtime import end_with_parent
from pipeline.utterance import Clip, Reason, Rejection, Utterance

# Measures a recording, float32 (samples,), by its rate in Hz and its id.
Listen = Callable[[np.ndarray, int, str], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Work:
    """Requests of one batch, and what is already known of some of their rows."""

    key: int
    requests: list[Request]
    known: dict[int, Clip | Rejection]


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """A batch on its way between processes, all of it in two tensors and so in shared memory.

    What goes through the pipe that all workers write to is then their handles alone, less than the 4,096
    bytes that a pipe takes in one piece: a worker that dies leaves no half message for the parent to wait on.
    """

    waveforms: Tensor  # float32 (clips, samples)
    note: Tensor  # uint8: the rest, pickled

    @classmethod
    def pack(cls, key: int, clips: Sequence[Clip], rejections: list[tuple[int, Rejection]]) -> PackedBatch:
        """Lay the clips side by side."""
        described = [(c.row, len(c.waveform), c.sample_rate, c.duration, c.figures) for c in clips]
        note = bytearray(pickle.dumps((key, described, rejections)))
        return cls(pad([clip.waveform for clip in clips]), torch.frombuffer(note, dtype=torch.uint8))

    def pin_memory(self) -> PackedBatch:
        """Return the same with pinned samples, for the DataLoader."""
        return PackedBatch(self.waveforms.pin_memory(), self.note)

    def unpack(self) -> Batch:
        """Copy the batch out of shared memory, so that what is held downstream does not fill /dev/shm."""
        pinned, shared = self.waveforms.is_pinned(), self.waveforms.is_shared()  # type: ignore[no-untyped-call]
        waveforms = self.waveforms.clone() if shared else self.waveforms
        key, described, rejections = pickle.loads(self.note.numpy().tobytes())
        lengths = torch.tensor([samples for _, samples, *_ in described], dtype=torch.int64)
        clips = [
            Clip(row, waveform[:samples], *others)
            for (row, samples, *others), waveform in zip(described, waveforms, strict=True)
        ]
        return Batch(key, clips, rejections, waveforms, lengths.pin_memory() if pinned else lengths)


class HeartbeatTable:
    """Shared memory, a line a worker: its process, the row it is at, and when it began; one writer a line.

    The numbers are float64: exact for rows and process ids below 2**53. The beginning tells one clip from the
    next, and is 0 between clips.
    """

    COLUMNS = 3

    def __init__(self, context: Any, workers: int) -> None:
        self._cells = context.RawArray("d", workers * self.COLUMNS + 1)  # the last one asks all to stop

    def sign(self, worker: int) -> None:
        """Record that this process is that worker."""
        self._cells[worker * self.COLUMNS] = os.getpid()

    def begin(self, worker: int, row: int) -> None:
        """Record that the worker is at this row."""
        self._cells[worker * self.COLUMNS + 1] = row
        self._cells[worker * self.COLUMNS + 2] = time.monotonic()

    def end(self, worker: int) -> None:
        """Record that the worker is between clips."""
        self._cells[worker * self.COLUMNS + 2] = 0

    def at_work(self) -> dict[int, tuple[int, float]]:
        """Return, by process id, the row it is at and when it began with it; of workers that are at one."""
        cells = list(self._cells[:-1])
        lines = zip(cells[0::3], cells[1::3], cells[2::3], strict=True)
        return {int(pid): (int(row), began) for pid, row, began in lines if began}

    def stop(self) -> None:
        """Ask all workers to break off after the clip they are at."""
        self._cells[-1] = 1

    def stopped(self) -> bool:
        """Return whether that was asked."""
        return bool(self._cells[-1])


@dataclass(frozen=True)
class ClipLoader:
    """Makes one clip."""

    source: AudioSource
    sample_rate: int  # Hz, of the clips made
    limits: LimitSettings
    decode_timeout: float  # seconds
    listen: Listen | None = None

    def __call__(self, request: Request) -> Clip | Rejection:
        """Decode, downmix and resample; whatever is wrong with the audio becomes a Rejection."""
        utterance = request.utterance
        try:
            return self._load(request.row, utterance)
        except AudioError as error:
            return Rejection(utterance.id, utterance.audio, error.reason, error.detail)

    def _load(self, row: int, utterance: Utterance) -> Clip:
        with open_audio(self.source, utterance.audio) as file:
            waveform, rate = decode(
                file,
                start=utterance.start,
                end=utterance.end,
                max_seconds=self.limits.max_seconds,
                deadline_seconds=self.decode_timeout,
            )
        duration = len(waveform) / rate
        if duration < self.limits.min_seconds:
            detail = f"it lasts {duration:.3f} s, the limit is {self.limits.min_seconds:g} s"
            raise AudioError(Reason.TOO_SHORT, detail)
        figures = self.listen(waveform.numpy(), rate, utterance.id) if self.listen else None
        return Clip(row, resample(waveform, rate, self.sample_rate), rate, duration, figures)


class PackedBatches(Dataset[PackedBatch]):
    """The batches by Work, as the DataLoader's sampler gives it."""

    def __init__(self, load_clip: ClipLoader, heartbeats: HeartbeatTable | None = None) -> None:
        self._load_clip, self.heartbeats = load_clip, heartbeats

    def __getitem__(self, work: Work) -> PackedBatch:
        """Load all clips of a batch and lay them side by side."""
        clips: list[Clip] = []
        rejections: list[tuple[int, Rejection]] = []
        for request in work.requests:
            if self.heartbeats is not None and self.heartbeats.stopped():
                break  # nobody waits for this batch any more
            outcome = work.known.get(request.row) or self._watched(request)
            if isinstance(outcome, Rejection):
                rejections.append((request.row, outcome))
            else:
                clips.append(outcome)
        return PackedBatch.pack(work.key, clips, rejections)

    def _watched(self, request: Request) -> Clip | Rejection:
        worker = get_worker_info()
        if self.heartbeats is None or worker is None:
            return self._load_clip(request)
        self.heartbeats.begin(worker.id, request.row)
        outcome = self._load_clip(request)
        self.heartbeats.end(worker.id)
        return outcome


def pad(waveforms: Sequence[Tensor]) -> Tensor:
    """Return float32 (clips, samples of the longest), zeros past each clip's end."""
    padded = torch.zeros(len(waveforms), max((len(waveform) for waveform in waveforms), default=0))
    for line, waveform in zip(padded, waveforms, strict=True):
        line[: len(waveform)] = waveform
    return padded


def start_worker(worker_id: int) -> None:
    """Set a worker up, for the DataLoader."""
    init_worker()
    info = get_worker_info()
    if info is not None and isinstance(info.dataset, PackedBatches) and info.dataset.heartbeats is not None:
        info.dataset.heartbeats.sign(worker_id)


def init_worker() -> None:
    """Make this process a quiet child: one thread of torch, deaf to Ctrl-C, gone when its parent is.

    The parent has Ctrl-C and stops its children in order. Its death by SIGKILL needs a watch: workers are
    children of the fork server, which lives as long as they do, so they see no change of parent.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    silence_native_output()
    Finalize(None, _silence, exitpriority=1000)  # before what multiprocessing itself cleans up
    end_with_parent(_remove_temporary_folder)


def _silence() -> None:
    """Say nothing more: whatever fails as a worker ends is no news to the user."""
    sys.stderr = None


def _remove_temporary_folder() -> None:
    """Remove that of the parent, which removes nothing if it is killed."""
    shutil.rmtree(get_temp_dir(), ignore_errors=True)


def load_alone(load_clip: ClipLoader, request: Request, answer: Connection) -> None:
    """Load one clip in a process of its own, and answer with its Clip or Rejection, pickled."""
    init_worker()
    # Sent by itself, a tensor would be a handle that ends with this process.
    answer.send_bytes(pickle.dumps(load_clip(request)))
