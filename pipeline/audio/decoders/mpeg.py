"""Counts the frames of an MP3 file, without decoding, and reads how many its header states.

libsndfile stops where the Xing or Info header says, which may lie, and which of files that were joined counts
only the first. Layouts: http://www.mp3-tech.org/programmer/frame_header.html and
https://gabriel.mp3-tech.org/mp3infotag.html
"""

from __future__ import annotations

from pipeline.audio.decoders.chunks import ReadAt

BIT_RATES = {  # kbit/s of layer III
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # MPEG 1
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # MPEG 2 and 2.5
}
SAMPLE_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version, Hz
SIDE_INFORMATION = {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}  # bytes


def stated_frames(read_at: ReadAt) -> int | None:
    """Return the frames that the Xing or Info header of an MP3 file states; None without such a header."""
    start = _after_tag(read_at(0, 10), 0)
    frame = read_at(start, 48)
    if len(frame) < 48 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return None
    mpeg1, mono = frame[1] & 0x18 == 0x18, frame[3] >> 6 == 3
    xing = frame[4 + SIDE_INFORMATION[mpeg1, mono] :]
    if xing[:4] not in (b"Xing", b"Info") or not xing[7] & 1:
        return None
    return int.from_bytes(xing[8:12], "big")


def count_frames(content: bytes) -> int:
    """Count the frames of layer III in a file, those that only hold a Xing or Info header among them."""
    position, frames = _after_tag(content, 0), 0
    lengths: dict[bytes, int] = {}  # bytes of a frame by the first three of its header
    while True:
        while length := lengths.get(content[position : position + 3]):
            frames += 1
            position += length
        position = _after_tag(content, position)
        position = content.find(b"\xff", position)
        if position < 0:
            return frames
        header, length = content[position : position + 3], _length(content[position : position + 3])
        following = content[position + length : position + length + 3]
        in_stream = length and (not lengths or _kind(header) == _kind(next(iter(lengths))))
        if in_stream and (not following or _length(following) or following[:2] in (b"ID", b"TA")):
            lengths[header] = length
        else:
            position += 1


def samples_per_frame(rate: int) -> int:
    """Return the samples of a layer III frame at a sample rate in Hz: MPEG 1 has twice those of MPEG 2."""
    return 1152 if rate >= 32000 else 576


def _length(header: bytes) -> int:
    """Return the bytes of the frame that begins with these three; 0 if none does."""
    if len(header) < 3 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:  # the sync word, layer III
        return 0
    version, rate, bits = header[1] >> 3 & 3, header[2] >> 2 & 3, header[2] >> 4
    if version not in SAMPLE_RATES or rate == 3 or not 0 < bits < 15:
        return 0
    slots = 144_000 if version == 3 else 72_000
    return slots * BIT_RATES[version == 3][bits] // SAMPLE_RATES[version][rate] + (header[2] >> 1 & 1)


def _kind(header: bytes) -> tuple[int, int]:
    """Return what all frames of a file share: version, layer and sample rate."""
    return header[1] & 0xFE, header[2] & 0x0C


def _after_tag(content: bytes, position: int) -> int:
    """Return the position after an ID3v2 tag, if there is one."""
    tag = content[position : position + 10]
    if tag[:3] != b"ID3" or len(tag) < 10:
        return position
    return position + 10 + (tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9])
