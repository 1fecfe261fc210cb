"""Counts from its packets, without decoding, how many samples an Ogg file of Vorbis or Opus holds.

libsndfile trusts the position that the last page states, and reads only the first of joined streams. Layouts:
RFC 3533 (Ogg), RFC 6716 section 3.1 (Opus packets), RFC 7845 (Opus in Ogg), and the Vorbis I specification,
sections 4.2 and 4.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pipeline.audio.decoders.protocol import AudioError
from pipeline.utterance import Reason

FIRST_PAGE = 0x02
OPUS_RATE = 48_000  # Hz, of all positions in an Opus stream
MOST_SKIPPED = 9_600  # samples of Opus: 80 ms of convergence and a packet of 120 ms, after an exact cut
# Samples of one frame by configuration: SILK and hybrid from 10 ms, CELT from 2.5 ms.
OPUS_FRAMES = np.array(
    [480, 960, 1920, 2880] * 3 + [480, 960] * 2 + [120, 240, 480, 960] * 4, np.int64
)  # fmt: skip


@dataclass
class Stream:
    """One logical stream: the sizes and the bytes of its packets, in pieces of at most 255 bytes."""

    serial: int
    lacing: list[bytes] = field(default_factory=list)
    payload: list[bytes] = field(default_factory=list)


@dataclass(frozen=True)
class Count:
    """What the packets hold: `samples` at `rate` Hz, with what is discarded at the beginning in `skipped`.

    `slack` is how many of the last samples an encoder may trim.
    """

    samples: int
    skipped: int
    slack: int
    rate: int

    def least(self, rate: int) -> int:
        """Return how many samples decoding gives at least, at a rate in Hz.

        Raises AudioError if the header discards more than any encoder has reason to.
        """
        if self.skipped > MOST_SKIPPED:
            detail = f"its header discards its first {self.skipped / self.rate:.2f} s"
            raise AudioError(Reason.DECODE_FAILED, detail)
        return max(0, self.samples - self.skipped - self.slack) * rate // self.rate


def count(content: bytes) -> list[Count] | None:
    """Count the samples of each of the joined streams; None if one is no audio, or damaged."""
    counts = [_count(stream) for stream in _streams(content)]
    return None if not counts or None in counts else counts  # type: ignore[return-value]


def _streams(content: bytes) -> Iterator[Stream]:
    stream, position = Stream(-1), 0
    while content[position : position + 4] == b"OggS" and position + 27 <= len(content):
        flags, serial = (
            content[position + 5],
            int.from_bytes(content[position + 14 : position + 18], "little"),
        )
        body = position + 27 + content[position + 26]
        lacing = content[position + 27 : body]
        if flags & FIRST_PAGE:
            if stream.lacing:
                yield stream
            stream = Stream(serial)
        position = body + sum(lacing)
        if serial == stream.serial:
            stream.lacing.append(lacing)
            stream.payload.append(content[body:position])
    yield stream


def _count(stream: Stream) -> Count | None:
    lacing = np.frombuffer(b"".join(stream.lacing), np.uint8)
    payload = b"".join(stream.payload)
    ends = np.cumsum(lacing, dtype=np.int64)[lacing < 255]
    starts = np.concatenate([[0], ends[:-1]])[: len(ends)]
    starts, ends = starts[starts < ends], ends[starts < ends]  # empty packets hold nothing
    if len(ends) == 0 or ends[-1] > len(payload):
        return None
    if payload.startswith(b"OpusHead") and len(ends) > 2:
        return _opus(payload, starts[2:], ends[2:])
    if payload.startswith(b"\x01vorbis") and len(ends) > 3:
        return _vorbis(payload, starts, ends)
    return None


def _opus(payload: bytes, starts: np.ndarray, ends: np.ndarray) -> Count:
    values = np.frombuffer(payload, np.uint8)
    configuration, code = values[starts] >> 3, values[starts] & 3
    in_second_byte = values[np.minimum(starts + 1, ends - 1)] & 63
    frames = np.where(code == 3, in_second_byte, np.minimum(code, 1) + 1)
    durations = frames * OPUS_FRAMES[configuration]
    (skipped,) = struct.unpack("<H", payload[10:12])
    return Count(int(durations.sum()), skipped, 2 * int(durations.max()), OPUS_RATE)


def _vorbis(payload: bytes, starts: np.ndarray, ends: np.ndarray) -> Count | None:
    long_blocks = _vorbis_modes(payload[starts[2] : ends[2]])
    if long_blocks is None:
        return None
    sizes = 1 << (payload[28] & 15), 1 << (payload[28] >> 4)  # of short and long blocks, in samples
    mask = (1 << (len(long_blocks) - 1).bit_length()) - 1
    first = np.frombuffer(payload, np.uint8)[starts[3:]]
    modes = np.minimum((first[first & 1 == 0] >> 1) & mask, len(long_blocks) - 1)
    blocks = np.array([sizes[long] for long in long_blocks], np.int64)[modes]
    samples = int((blocks[:-1] + blocks[1:]).sum()) // 4  # each completes half of itself and of the last
    return Count(samples, 0, 2 * sizes[1], int.from_bytes(payload[12:16], "little"))


def _vorbis_modes(setup: bytes) -> list[int] | None:
    """Return for each mode whether its blocks are long.

    They end the setup header, each a block flag (1 bit), two types that are zero (16 bits each) and a mapping
    (8 bits); their number less one (6 bits) stands before them. They are found from the end, since what
    precedes them cannot be skipped without reading all codebooks.
    """
    bits = int.from_bytes(setup, "little")
    end = bits.bit_length() - 1  # the framing bit is the last one that is set
    modes: list[int] = []
    found: list[int] | None = None
    while end - 41 * (len(modes) + 1) >= 0 and len(modes) < 64:
        start = end - 41 * (len(modes) + 1)
        entry = bits >> start & (1 << 41) - 1
        if entry >> 1 & 0xFFFFFFFF or entry >> 33 > 63:
            break
        modes.insert(0, entry & 1)
        if bits >> start - 6 & 63 == len(modes) - 1:
            found = list(modes)
    return found
