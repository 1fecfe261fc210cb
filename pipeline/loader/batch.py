"""The records of loading."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pipeline.utterance import Clip, Rejection, Utterance


@dataclass(frozen=True, slots=True)
class Request:
    """One clip to load; `row` is the utterance's row in the manifest."""

    row: int
    utterance: Utterance


@dataclass(slots=True)
class Batch:
    """What became of the requests of one batch; `key` is what they were given with (the shard).

    `waveforms` is float32 of shape (clips, samples), each clip zero-padded at its end; `lengths`, int64 of
    shape (clips,), holds the samples of each. Both are pinned on CUDA. `clips` are views into `waveforms`.
    Clips and rejections (with their rows) keep the order of the requests; a batch may hold no clip at all.
    """

    key: int
    clips: list[Clip]
    rejections: list[tuple[int, Rejection]]
    waveforms: Tensor
    lengths: Tensor
