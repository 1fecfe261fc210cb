"""Decoding by libsndfile: fast, exact to the sample, and quiet about files that end early or go on."""

from __future__ import annotations

from collections.abc import Iterator
from io import FileIO
from typing import BinaryIO

import numpy as np
import soundfile

from pipeline.audio.decoders import flac, mpeg, ogg
from pipeline.audio.decoders.older_containers import LENGTHLESS
from pipeline.audio.decoders.protocol import AudioError, mono
from pipeline.utterance import Reason

BLOCK_VALUES = 1 << 18  # values (frames × channels) decoded at a time: 3 s of 44.1 kHz stereo


class SoundFileDecoder:
    """Decodes WAV, FLAC, MP3, Vorbis, Opus and all else that libsndfile reads.

    Raises LibsndfileError if it refuses the file.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._raw, self._size = file, size
        # libsndfile reads a descriptor by itself; other files go through calls into Python.
        handle = file.fileno() if isinstance(file, FileIO) else file
        self._file = soundfile.SoundFile(handle, closefd=False)
        self._form: str = self._file.format
        self.rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self._frames: int = self._file.frames
        self.frames: int | None = self._frames
        if self._form in LENGTHLESS:
            detail = f"{self._form} states no length, so part of it may be missing: convert it to WAV"
            raise AudioError(Reason.DECODE_FAILED, detail)

    def states_length(self) -> bool:
        """Return whether `frames` is stated: reading stops there, but it may be a guess, or unknown."""
        if self._form == "MP3":
            return mpeg.stated_frames(self._read_at) is not None
        return self._frames < 1 << 62

    def least_frames(self) -> int:
        """Return how many frames the file holds at least, counted from its bytes; 0 if these do not tell.

        Only forms are counted whose headers libsndfile believes though more audio follows. Raises AudioError.
        """
        if self._form == "FLAC":
            return flac.samples(self._read_at, self._size, self._frames) or 0
        if self._form == "OGG":
            return sum(part.least(self.rate) for part in ogg.count(self._read_at(0, self._size)) or [])
        stated = mpeg.stated_frames(self._read_at) if self._form == "MP3" else None
        if stated is None:
            return 0
        counted = mpeg.count_frames(self._read_at(0, self._size))
        # The header's own frame is counted, and encoders differ by one in what they state.
        return 0 if counted <= stated + 2 else (counted - counted // 16) * mpeg.samples_per_frame(self.rate)

    def duration(self, deadline: float) -> float:
        """See `Decoder.duration`."""
        return self._frames / self.rate

    def blocks(self, first: int, last: int | None) -> Iterator[np.ndarray]:
        """See `Decoder.blocks`. Raises TRUNCATED if there are fewer frames than the header states."""
        frames = self._frames
        begin, last = min(first, frames), min(frames if last is None else last, frames)
        position = 0
        try:
            if self._file.seekable():  # GSM 6.10, G.721 and NMS ADPCM can only be read from the start
                position = self._file.seek(begin)
            while position < last:
                count = min(max(1, BLOCK_VALUES // self.channels), last - position)
                block = self._file.read(count, dtype="float32", always_2d=True)
                yield mono(block[max(0, begin - position) :].T)
                position += len(block)
                if len(block) < count:
                    break
        except soundfile.LibsndfileError as error:
            if self._raw.tell() >= self._size:
                raise AudioError(Reason.TRUNCATED, "it ends within an audio frame") from error
            detail = f"decoding stops at {position / self.rate:.2f} s: {error.error_string.rstrip('.')}"
            raise AudioError(Reason.DECODE_FAILED, detail) from error
        # an encoder's padding makes the last frame of an MP3 uncertain
        if last - position > (mpeg.samples_per_frame(self.rate) if self._form == "MP3" else 0):
            detail = (
                f"it ends at {position / self.rate:.2f} s, and its header states {frames / self.rate:.2f} s"
            )
            raise AudioError(Reason.TRUNCATED, detail)

    def close(self) -> None:
        """See `Decoder.close`."""
        self._file.close()

    def _read_at(self, offset: int, count: int) -> bytes:
        before = self._raw.tell()
        self._raw.seek(offset)
        content = self._raw.read(count)
        self._raw.seek(before)
        return content
