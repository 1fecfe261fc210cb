"""Where sub-batches run: on a CPU's cores, one clip each, or on a GPU, whole batches behind a copy stream.

A runner never waits in `start`: it returns functions that do.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from threading import Barrier
from typing import Protocol

import torch
from torch import Tensor

from pipeline.codec.encoder import EncoderOutput


@dataclass(frozen=True, slots=True)
class SubBatch:
    """Codes of some clips, in CPU memory.

    `codes`: uint16 (clips, positions); `counts`: int64 (clips,), each clip's own positions; `pre_quant`:
    float32 (clips, positions, dimensions), the values before rounding; `margins`: float32 (clips,), how
    far the nearest of them is from a rounding boundary; `reliable`: boolean (clips,), see
    `EncoderOutput`.
    """

    codes: Tensor
    counts: Tensor
    pre_quant: Tensor
    margins: Tensor
    reliable: Tensor

    @staticmethod
    def of(coded: EncoderOutput) -> SubBatch:
        """Return the codes and margins of `coded`, on its device."""
        return SubBatch(
            coded.codes.to(torch.uint16), coded.counts, coded.pre_quant, coded.margin(), coded.reliable
        )


Encode = Callable[[Tensor, Tensor], EncoderOutput]
Wait = Callable[[], SubBatch]


class Runner(Protocol):
    """Runs `encode` on a batch and returns at once."""

    def start(self, waveforms: Tensor, lengths: Tensor) -> list[Wait]:
        """Return functions that wait for the batch's clips, in order.

        `waveforms`, `lengths`: see `Codec.launch`.
        """
        ...


class CpuRunner:
    """Runs clips one by one, each on one core, as many at once as PyTorch has threads.

    A small convolution split over cores waits for the slowest of them at every layer; clips wait for
    nothing. And without padding no masks are needed.
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
    def _one(self, clip: Tensor) -> SubBatch:
        return SubBatch.of(self._encode(clip[None], torch.tensor([len(clip)])))


class BatchRunner:
    """Runs whole padded batches on one device without waiting.

    On CUDA, copies have a stream of their own and codes an event.
    """

    def __init__(self, encode: Encode, device: torch.device) -> None:
        self._encode, self._device = encode, device
        self._copies = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    @torch.inference_mode()
    def start(self, waveforms: Tensor, lengths: Tensor) -> list[Wait]:
        """See `Runner.start`."""
        if self._copies is None:
            part = SubBatch.of(self._encode(waveforms.to(self._device), lengths.to(self._device)))
            return [lambda: part]
        computing = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._copies):
            given = [tensor.to(self._device, non_blocking=True) for tensor in (waveforms, lengths)]
        computing.wait_stream(self._copies)
        for tensor in given:
            tensor.record_stream(computing)
        part = _to_pinned(SubBatch.of(self._encode(given[0], given[1])))
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record(computing)

        def wait() -> SubBatch:
            done.synchronize()
            return part

        return [wait]


def _to_pinned(part: SubBatch) -> SubBatch:
    def copied(tensor: Tensor) -> Tensor:
        return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)

    return SubBatch(*(copied(getattr(part, field.name)) for field in fields(part)))
