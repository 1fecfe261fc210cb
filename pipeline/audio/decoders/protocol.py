"""What a decoder is: the records and the interface that both libraries are put behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from pipeline.utterance import Reason


class AudioError(Exception):
    """Audio that cannot be used: `reason` is for counting, `detail` is one sentence for a person."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class Decoder(Protocol):
    """An open recording."""

    rate: int  # Hz
    channels: int
    frames: int | None  # how many the header states, where it does so exactly

    def duration(self, deadline: float) -> float:
        """Return the seconds that the header states; counted from the packets if it states nothing.

        Raises DECODE_TIMEOUT if counting goes on when this thread's processor time is past `deadline`.
        """
        ...

    def close(self) -> None:
        """Release the file, which stays open."""
        ...

    def blocks(self, first: int, last: int | None) -> Iterator[np.ndarray]:
        """Yield mono float32 blocks of the frames [first, last); fewer if the recording ends.

        A sample is the mean over all channels. Raises AudioError.
        """
        ...


def mono(channels: np.ndarray) -> np.ndarray:
    """Average (channels, samples) over channels to float32 (samples,), in the same order on any machine."""
    total: np.ndarray = channels[0]
    if len(channels) == 1:
        return total
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is rejected when all is read
        for channel in channels[1:]:
            total = total + channel
    return total * np.float32(1 / len(channels))
