"""The records of loading, and how clips are grouped into batches."""

from __future__ import annotations

from collections.abc import Sequence
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


def plan_batches(durations: Sequence[float], batch_seconds: float) -> list[list[int]]:
    """Group clips, given by their durations (seconds), into batches of like length.

    A batch's clips times its longest clip stay within `batch_seconds`; a clip that is longer by itself is a
    batch of its own. Longest first: memory is highest at the start, where a setting that does not fit shows
    at once and the allocator's largest blocks serve all that follows. Equal durations keep their order.
    """
    batches: list[list[int]] = []
    room = 0  # clips that the last batch still takes: its first clip is its longest
    for index in sorted(range(len(durations)), key=lambda index: (-durations[index], index)):
        if room == 0:
            longest = durations[index]
            all_fit = longest * len(durations) <= batch_seconds
            room = len(durations) if all_fit else max(1, int(batch_seconds / longest))
            batches.append([])
        batches[-1].append(index)
        room -= 1
    return batches
