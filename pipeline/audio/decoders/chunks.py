"""Walks files of chunks, RIFF and IFF, to the one that holds the audio, and compares sizes."""

from __future__ import annotations

import struct
from collections.abc import Callable

from pipeline.audio.decoders.protocol import AudioError
from pipeline.utterance import Reason

ReadAt = Callable[[int, int], bytes]  # (offset, count) → at most count bytes

RIFF_STREAMED = 0xFFFFFFFF  # data size of a WAV that was written to a pipe (ffmpeg): length unknown
SOX_STREAMED = range(0x7FFFF000 - 4096, 0x7FFFF001)  # the same by sox, rounded down to whole frames


def riff(read_at: ReadAt, size: int, *, big_endian: bool, data: bytes) -> str | None:
    """Do that for a file of chunks, of which `data` names the one with the audio.

    Raises AudioError if more audio follows than it states.
    """
    order = ">" if big_endian else "<"
    position, size64, byte_rate = 12, None, 0
    while position + 8 <= size:
        name, stated = struct.unpack(f"{order}4sI", read_at(position, 8))
        position += 8
        if name == b"ds64":  # EBU Tech 3306: the 64-bit sizes of an RF64 file
            size64 = struct.unpack("<Q", read_at(position + 8, 8))[0] if position + 16 <= size else None
        if name == b"fmt ":
            byte_rate = int.from_bytes(read_at(position + 8, 4), "big" if big_endian else "little")
        if name == data:
            if stated == RIFF_STREAMED and size64 is not None:
                stated = size64
            elif stated == RIFF_STREAMED or stated in SOX_STREAMED:
                return None
            if position + stated + 1 < size:
                _check_end(read_at, size, position + stated + stated % 2, byte_rate)
            return short(size - position, stated, "bytes of audio")
        position += stated + stated % 2
    return "it ends before its audio data" if position != size else None


def _check_end(read_at: ReadAt, size: int, end: int, byte_rate: int) -> None:
    """Raise AudioError if audio goes on after the chunk that ends here, and not other chunks or a tag."""
    follows, rest = read_at(end, 4), size - end
    if follows in (b"RIFF", b"RF64", b"FORM"):
        raise AudioError(Reason.DECODE_FAILED, "a second file is joined to it: take them apart")
    of_chunks = follows.isascii() and follows.decode("ascii").isprintable()
    if not of_chunks and byte_rate and rest > byte_rate / 4 and read_at(end, rest).strip(b"\0"):
        detail = f"{rest:,} bytes follow the audio that its header states"
        raise AudioError(Reason.DECODE_FAILED, detail)


def short(present: int, stated: int, what: str) -> str | None:
    """Say how much is there of what is stated; None if all is."""
    return f"it has {present:,} of the {stated:,} {what} it states" if present < stated else None
