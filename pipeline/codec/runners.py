"""Where batches run: on a CPU's cores, one clip each, or on a GPU, in few shapes behind a copy stream.

A runner never waits in `start`: it returns functions that do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.codec.encoder import EncoderOutput
from pipeline.codec.shapes import Shape, general, halved, plan_batches

Encode = Callable[[Tensor, Tensor], EncoderOutput]


@dataclass(frozen=True, slots=True)
class Part:
    """Some clips of a batch, by their rows in it; `wait` returns their codes, in CPU memory."""

    rows: Sequence[int]
    wait: Callable[[], EncoderOutput]


class Runner(Protocol):
    """Runs `encode` on a batch and returns at once."""

    def start(self, waveforms: Tensor, lengths: Tensor) -> list[Part]:
        """Return the batch in parts, each clip in one. `waveforms`, `lengths`: see `Codec.launch`."""
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

    def start(self, waveforms: Tensor, lengths: Tensor) -> list[Part]:
        """See `Runner.start`."""
        clips = (clip[:length] for clip, length in zip(waveforms, lengths.tolist(), strict=True))
        return [Part([row], self._pool.submit(self._one, clip).result) for row, clip in enumerate(clips)]

    @torch.inference_mode()
    def _one(self, clip: Tensor) -> EncoderOutput:
        return self._encode(clip[None], torch.tensor([len(clip)]))


class BatchRunner:
    """Runs padded batches on one device without waiting, in the shapes that it was given.

    On CUDA, copies have a stream of their own and codes an event.
    """

    def __init__(self, encode: Encode, device: torch.device, hop: int) -> None:
        self._encode, self._device, self._hop = encode, device, hop
        self._copies = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self.shapes = general()
        self.used: set[Shape] = set()
        self.codes = self.padded_codes = 0  # so far: the clips' own, and those of the batches

    def shrink(self) -> bool:
        """Halve the shapes' rows; False once they are smaller than the longest clip alone."""
        largest = max((clips * codes for clips, codes in self.shapes if clips > 1), default=0)
        if largest < max(codes for _, codes in self.shapes):
            return False
        self.shapes = halved(self.shapes)
        seconds = max(clips * codes for clips, codes in self.shapes) * self._hop / 16_000
        logging.getLogger(__name__).warning(
            "a batch did not fit into the device's memory: from now on they have at most %.0f s", seconds
        )
        return True

    @torch.inference_mode()
    def start(self, waveforms: Tensor, lengths: Tensor) -> list[Part]:
        """See `Runner.start`."""
        codes = lengths.numpy() // self._hop + 1
        batches = plan_batches(codes, self.shapes)
        self.used.update(shape for _, shape in batches)
        self.codes += int(codes.sum())
        self.padded_codes += sum(shape.clips * shape.codes for _, shape in batches)
        if len(batches) == 1:  # as it was planned: nothing is copied
            return [Part(range(len(lengths)), self._launch(waveforms, lengths, batches[0][1]))]
        return [
            Part(rows, self._launch(*self._chosen(waveforms, lengths, rows), shape))
            for rows, shape in batches
        ]

    def _chosen(self, waveforms: Tensor, lengths: Tensor, rows: list[int]) -> tuple[Tensor, Tensor]:
        own = lengths[rows]
        cut = waveforms[rows, : int(own.max())]
        return (cut.pin_memory(), own.pin_memory()) if self._copies is not None else (cut, own)

    def _launch(self, waveforms: Tensor, lengths: Tensor, shape: Shape) -> Callable[[], EncoderOutput]:
        clips = len(lengths)
        if self._copies is None:
            made = self._encode(*widened(waveforms, lengths, shape, self._hop)).map(
                lambda tensor: tensor[:clips]
            )
            return lambda: made
        computing = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._copies):
            given = [tensor.to(self._device, non_blocking=True) for tensor in (waveforms, lengths)]
        computing.wait_stream(self._copies)
        for tensor in given:
            tensor.record_stream(computing)
        made = self._encode(*widened(given[0], given[1], shape, self._hop))
        fetched = made.map(lambda tensor: _to_pinned(tensor[:clips]))
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record(computing)

        def wait() -> EncoderOutput:
            done.synchronize()
            return fetched

        return wait


def widened(waveforms: Tensor, lengths: Tensor, shape: Shape, hop: int) -> tuple[Tensor, Tensor]:
    """Pad or cut `waveforms` (clips, samples) to a shape; the rows that are added are silent."""
    rows = shape.clips - len(lengths)
    samples = shape.codes * hop - 1  # a clip has one code more than whole hops
    padded = functional.pad(waveforms, (0, samples - waveforms.shape[1], 0, rows))
    return padded, torch.cat([lengths, lengths.new_full((rows,), samples)])


def _to_pinned(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)
