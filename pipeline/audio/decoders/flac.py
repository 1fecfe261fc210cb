"""Reads from a FLAC file's own frames, without decoding, how many samples it holds (RFC 9639, section 9).

The header's total may lie, and of joined files it counts only the first; libsndfile reads no further.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from pipeline.audio.decoders.chunks import ReadAt

MARKER = 8  # bytes
STREAM_STARTS = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")  # marker and header of STREAMINFO
CHUNK = 1 << 20  # bytes read at a time
TAIL = 1 << 16  # bytes of a stream's end that hold its last frame's header, where STREAMINFO knows no maximum
BLOCK_SIZES = {1: 192, **{n: 144 << n for n in range(2, 6)}, **{n: 1 << n for n in range(8, 16)}}


def samples(read_at: ReadAt, size: int, stated: int) -> int | None:
    """Return the samples of all streams in a file of `size` bytes; None if a last frame cannot be found.

    Other beginnings than the file's own are only looked for if that does not give the `stated` samples.
    """
    total = None
    for markers in ([read_at(0, MARKER)], STREAM_STARTS):
        starts = [*_starts(read_at, size, markers), size]
        counts = [_samples(read_at, start, end) for start, end in pairwise(starts)]
        total = None if not counts or None in counts else sum(counts)  # type: ignore[arg-type]
        if total == stated:
            break
    return total


def _starts(read_at: ReadAt, size: int, markers: Iterable[bytes]) -> list[int]:
    found: set[int] = set()
    for offset in range(0, size, CHUNK):
        chunk = read_at(offset, CHUNK + MARKER - 1)
        for marker in markers:
            at = chunk.rfind(marker)  # three times as fast as `find`
            while at >= 0:
                found.add(offset + at)
                at = chunk.rfind(marker, 0, at)
    return sorted(found)


def _samples(read_at: ReadAt, start: int, end: int) -> int | None:
    """Return where the last frame of the stream in the bytes [start, end) ends, in samples."""
    info = read_at(start + 8, 34)
    block_size, largest_frame = int.from_bytes(info[2:4], "big"), int.from_bytes(info[7:10], "big")
    position = start + 42
    last = read_at(start + 4, 1)[0] & 0x80
    while not last and position + 4 <= end:
        block = read_at(position, 4)
        last, position = block[0] & 0x80, position + 4 + int.from_bytes(block[1:], "big")
    first = read_at(position, 4)
    if len(first) < 4 or first[:2] not in (b"\xff\xf8", b"\xff\xf9"):
        return None
    begin = max(position, end - TAIL - largest_frame)
    tail = read_at(begin, end - begin)
    at = tail.rfind(first[:2])
    while at >= 0:
        found = _frame_end(tail[at : at + 16], first, block_size)
        if found is not None:
            return found
        at = tail.rfind(first[:2], 0, at)
    return None


def _frame_end(header: bytes, first: bytes, fixed_size: int) -> int | None:
    """Return the sample after the frame with this header; None if it is none of the stream of `first`."""
    if len(header) < 6 or header[2] & 0x0F != first[2] & 0x0F or header[3] & 0x0F != first[3] & 0x0F:
        return None
    width = max(1, 8 - (header[4] ^ 0xFF).bit_length())  # of the number, coded as UTF-8 does
    number = header[4] & (0x7F if width == 1 else 0x7F >> width)
    for byte in header[5 : 4 + width]:
        number = number << 6 | byte & 0x3F
    position = 4 + width
    code = header[2] >> 4
    if code in (6, 7):
        block_size = int.from_bytes(header[position : position + code - 5], "big") + 1
        position += code - 5
    else:
        block_size = BLOCK_SIZES.get(code, 0)
    position += {12: 1, 13: 2, 14: 2}.get(header[2] & 0x0F, 0)  # a sample rate that has no code
    if position >= len(header) or block_size == 0 or _crc8(header[:position]) != header[position]:
        return None
    return number + block_size if first[1] & 1 else number * fixed_size + block_size


def _crc8(content: bytes) -> int:
    """Return the checksum of a frame's header: polynomial x⁸ + x² + x + 1, from 0."""
    register = 0
    for byte in content:
        register ^= byte
        for _ in range(8):
            register = (register << 1 ^ 0x07 if register & 0x80 else register << 1) & 0xFF
    return register
