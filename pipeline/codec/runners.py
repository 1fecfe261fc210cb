"""Where sub-batches run: on a CPU's cores, one clip each, or on a GPU, whole batches behind a copy stream.

Knows threads, streams and pinned memory; what is run is given. A runner never waits in `start`: it returns
functions that do.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from threading import Barrier
from typing import Protocol

import torch
from torch import Tensor

from pipeline.codec.encoder import Coded


@dataclass(frozen=True, slots=True)
class Part:
    """Codes of some clips, in CPU memory.

    `codes`: uint16 (clips, positions); `counts`: int64 (clips,), each clip's own positions; `scaled`: float32
    (clips, positions, dimensions), the values before rounding; `margins`: float32 (clips,), how far the
    nearest of them is from a rounding boundary; `steady`: boolean (clips,), see `Coded`.
    """

    codes: Tensor
    counts: Tensor
    scaled: Tensor
    margins: Tensor
    steady: Tensor

    @staticmethod
    def of(coded: Coded) -> Part:
        """The codes and margins of `coded`, where it is."""
        return Part(coded.codes.to(torch.uint16), coded.counts, coded.scaled, coded.margin(), coded.steady)


Encode = Callable[[Tensor, Tensor], Coded]
Wait = Callable[[], Part]


class Runner(Protocol):
    """Runs `encode` on a batch and returns at once."""

    def start(self, waveforms: Tensor, lengths: Tensor) -> list[Wait]:
        """Functions that wait for the batch's clips, in order. `waveforms`, `lengths`: see `Codec.launch`."""
        ...


class CpuRunner:
    """Clips one by one, each on one core, as many at once as PyTorch has threads.

    A small convolution split over cores waits for the slowest of them at every layer; clips wait for nothing.
    And without padding no masks are needed.
    """

    def __init__(self, encode: Encode) -> None:
        threads = torch.get_num_threads()
        self._encode = encode
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="codec")
        started = Barrier(threads)  # so that each thread takes exactly one of these tasks

        def use_one_core(_: int) -> None:
            torch.set_num_threads(1)
            started.wait()

        list(self._pool.map(use_one_core, range(threads)))
        torch.set_num_threads(threads)  # the last call also decides for threads that start later

    def start(self, waveforms: Tensor, lengths: Tensor) -> list[Wait]:
        """See `Runner.start`."""
        clips = (clip[:length] for clip, length in zip(waveforms, lengths.tolist(), strict=True))
        return [self._pool.submit(self._one, clip).result for clip in clips]

    @torch.inference_mode()
    def _one(self, clip: Tensor) -> Part:
        return Part.of(self._encode(clip[None], torch.tensor([len(clip)])))


class BatchRunner:
    """Whole padded batches on one device. On CUDA nothing waits: copies have their own stream, codes an
    event.
    """

    def __init__(self, encode: Encode, device: torch.device) -> None:
        self._encode, self._device = encode, device
        self._copies = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    @torch.inference_mode()
    def start(self, waveforms: Tensor, lengths: Tensor) -> list[Wait]:
        """See `Runner.start`."""
        if self._copies is None:
            part = Part.of(self._encode(waveforms.to(self._device), lengths.to(self._device)))
            return [lambda: part]
        computing = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._copies):
            given = [tensor.to(self._device, non_blocking=True) for tensor in (waveforms, lengths)]
        computing.wait_stream(self._copies)
        for tensor in given:
            tensor.record_stream(computing)
        part = _to_pinned(Part.of(self._encode(given[0], given[1])))
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record(computing)

        def wait() -> Part:
            done.synchronize()
            return part

        return [wait]


def _to_pinned(part: Part) -> Part:
    def copied(tensor: Tensor) -> Tensor:
        return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)

    return Part(*(copied(getattr(part, field.name)) for field in fields(part)))
