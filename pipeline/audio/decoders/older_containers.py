"""Sees that a file in one of the older or rarer forms that libsndfile reads ends before its header says.

libsndfile takes their length from the size of the file.
"""

from __future__ import annotations

import math
import re
import struct

from pipeline.audio.decoders.chunks import ReadAt, riff, short

AU_STREAMED = 0xFFFFFFFF  # length unknown
WAVE64 = bytes.fromhex("726966662e91cf11a5d628db04c10000")  # the GUID of its first chunk
MATLAB4_BYTES = {0: 8, 1: 4, 2: 4, 3: 2, 4: 2, 5: 1}  # of a value, by its type
# These state no length at all, so that a file cut short cannot be told from a whole one.
LENGTHLESS = {"PAF", "PVF", "IRCAM", "MPC2K", "XI"}  # by libsndfile's name


def truncation(read_at: ReadAt, size: int) -> str | None:
    """Say in a sentence how a file of `size` bytes falls short of what it states, as in `containers`."""
    head = read_at(0, 40)
    if head[:4] in (b".snd", b"dns."):  # Sun and NeXT audio
        offset, stated = struct.unpack_from(">II" if head[:1] == b"." else "<II", head.ljust(12, b"\0"), 4)
        return None if stated == AU_STREAMED else short(size - offset, stated, "bytes of audio")
    if head[:16] == WAVE64:
        return short(size, int.from_bytes(head[16:24], "little"), "bytes")
    if head[:4] == b"caff":  # Apple Core Audio
        return _caf(read_at, size)
    if head[:8] == b"NIST_1A\n":
        return _sphere(read_at(0, 4096), size)
    if head[:20] == b"Creative Voice File\x1a":
        return _voc(read_at, size, int.from_bytes(head[20:22], "little"))
    if head[:4] == b"FORM" and head[8:12] in (b"8SVX", b"16SV"):  # Amiga
        return riff(read_at, size, big_endian=True, data=b"BODY")
    if head[:4] == b"2BIT":  # Audio Visual Research
        stereo, bits = struct.unpack_from(">hh", head.ljust(40, b"\0"), 12)
        samples = int.from_bytes(head[26:30], "big") * (2 if stereo else 1)
        return short(size - 128, samples * bits // 8, "bytes of audio")
    if head[:15] == b"ALawSoundFile**":  # Psion
        return short(size - 32, int.from_bytes(head[18:22], "big"), "bytes of audio")
    if head[:10] == b"MATLAB 5.0":
        return _matlab5(read_at, size, "<" if read_at(126, 2) == b"IM" else ">")
    if head[20:31] == b"samplerate\0":
        return _matlab4(read_at, size, ">" if head[7] else "<")
    return None


def _caf(read_at: ReadAt, size: int) -> str | None:
    position = 8
    while position + 12 <= size:
        stated = int.from_bytes(read_at(position + 4, 8), "big", signed=True)
        position += 12
        if stated < 0:  # audio of unknown length, to the end
            return None
        if position + stated > size:
            return short(size - position, stated, "bytes of one of its chunks")
        position += stated
    return None


def _sphere(header: bytes, size: int) -> str | None:
    """NIST SPHERE, the form of TIMIT; what is compressed in it is left to the decoder."""
    fields = dict(re.findall(rb"^(\w+) -(?:i|s\d+) (\S+)", header, re.MULTILINE))
    names = (b"sample_count", b"channel_count", b"sample_n_bytes")
    numbers = [int(fields[name]) for name in names if fields.get(name, b"").isdigit()]
    start = header[8:16].strip()
    if len(numbers) < 3 or b"," in fields.get(b"sample_coding", b"") or not start.isdigit():
        return None
    return short(size - int(start), math.prod(numbers), "bytes of audio")


def _voc(read_at: ReadAt, size: int, position: int) -> str | None:
    """Creative Voice: blocks, each a type and three bytes of length; type 0 is the end."""
    while position < size and (kind := read_at(position, 4))[0] != 0:
        stated = int.from_bytes(kind[1:4], "little")
        if position + 4 + stated > size:
            return short(size - position - 4, stated, "bytes of one of its blocks")
        position += 4 + stated
    return None


def _matlab5(read_at: ReadAt, size: int, order: str) -> str | None:
    position = 128
    while position + 8 <= size:
        _, stated = struct.unpack(f"{order}II", read_at(position, 8))
        position += 8 + stated
    return short(size, position - 8, "bytes")  # libsndfile's own files state 8 more than they have


def _matlab4(read_at: ReadAt, size: int, order: str) -> str | None:
    position = 0
    while position + 20 <= size:
        kind, rows, columns, imaginary, name = struct.unpack(f"{order}5I", read_at(position, 20))
        width = MATLAB4_BYTES.get(kind // 10 % 10)
        if width is None:
            return None
        position += 20 + name + rows * columns * width * (2 if imaginary else 1)
    return short(size, position, "bytes")
