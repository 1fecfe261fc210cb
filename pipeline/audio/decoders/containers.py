"""Reads from a container's bytes, without decoding, how long it says it is.

Parses RIFF, AIFF, Ogg, MP4, Matroska and ASF just far enough to see that a file ends before it says it does:
decoders hide that and return what is there.
"""

from __future__ import annotations

import struct

from pipeline.audio.decoders import older_containers
from pipeline.audio.decoders.chunks import ReadAt, riff, short

OGG_TAIL = 27 + 255 + 255 * 255  # bytes of the largest Ogg page, RFC 3533 section 6
OGG_LAST_PAGE = 0x04
ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
ASF_BROADCAST = 0x01  # the file size is not valid
EBML_SEGMENT = bytes.fromhex("18538067")


def truncation(read_at: ReadAt, size: int) -> str | None:
    """Say in a sentence how a file of `size` bytes falls short of what it states.

    Returns None if it does not, if it states nothing, and for a container that is not known here.
    """
    head = read_at(0, 16)
    if head[:4] in (b"RIFF", b"RF64", b"RIFX"):
        return riff(read_at, size, big_endian=head[:4] == b"RIFX", data=b"data")
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return riff(read_at, size, big_endian=True, data=b"SSND")
    if head[:4] == b"OggS":
        return _ogg(read_at, size)
    if head[4:8] == b"ftyp":
        return _mp4(read_at, size)
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _matroska(read_at, size)
    if head == ASF_HEADER:
        return _asf(read_at, size)
    return older_containers.truncation(read_at, size)


def _ogg(read_at: ReadAt, size: int) -> str | None:
    tail = read_at(max(0, size - OGG_TAIL), OGG_TAIL)
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]]):
        return "its last Ogg page is incomplete"
    if not page[5] & OGG_LAST_PAGE:
        return "its last Ogg page is not marked as the end of the stream"
    return None


def _mp4(read_at: ReadAt, size: int) -> str | None:
    position, index_seen = 0, False
    while position + 8 <= size:
        length, name = struct.unpack(">I4s", read_at(position, 8))
        index_seen |= name == b"moov"
        if length == 0:  # this box reaches to the end of the file
            break
        if length == 1:
            length = int.from_bytes(read_at(position + 8, 8), "big")
        if length < 8:
            return None
        if position + length > size:
            return short(size - position, length, f"bytes of its {name.decode('latin-1')} box")
        position += length
    return None if index_seen else "it ends before its index (moov)"


def _matroska(read_at: ReadAt, size: int) -> str | None:
    header, width = _ebml_size(read_at(4, 8))
    segment = 4 + width + (header or 0)
    if read_at(segment, 4) != EBML_SEGMENT:
        return None
    stated, width = _ebml_size(read_at(segment + 4, 8))
    return None if stated is None else short(size - segment - 4 - width, stated, "bytes of its segment")


def _ebml_size(field: bytes) -> tuple[int | None, int]:
    """Return the value of a variable-length size and its width in bytes; all ones mean unknown (RFC 8794)."""
    if not field or not field[0]:
        return None, 1
    width = 9 - field[0].bit_length()
    ones = (1 << 7 * width) - 1
    value = int.from_bytes(field[:width], "big") & ones
    return (None if value == ones else value), width


def _asf(read_at: ReadAt, size: int) -> str | None:
    header = read_at(0, 65536)
    properties = header[header.find(ASF_FILE_PROPERTIES) :]
    if not properties.startswith(ASF_FILE_PROPERTIES) or len(properties) < 92:
        return None
    stated, flags = struct.unpack("<Q", properties[40:48])[0], struct.unpack("<I", properties[88:92])[0]
    return None if flags & ASF_BROADCAST else short(size, stated, "bytes")
