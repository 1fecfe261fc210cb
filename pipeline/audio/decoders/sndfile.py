"""Decoding by libsndfile: fast, exact to the sample, and quiet about files that end early."""

from __future__ import annotations

from collections.abc import Iterator
from io import FileIO
from typing import BinaryIO

import numpy as np
import soundfile

from pipeline.audio.decoders.containers import mpeg_frame_count
from pipeline.audio.decoders.protocol import AudioError, mono
from pipeline.utterance import Reason

BLOCK_VALUES = 1 << 18  # values (frames × channels) decoded at a time: 3 s of 44.1 kHz stereo
MPEG_FRAME = 1152  # samples; an encoder's padding makes the last one uncertain


class SoundFileDecoder:
    """Decodes WAV, FLAC, MP3, Vorbis, Opus and all else that libsndfile reads.

    Raises LibsndfileError if it refuses the file.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._raw, self._size = file, size
        # libsndfile reads a descriptor by itself; other files go through calls into Python.
        handle = file.fileno() if isinstance(file, FileIO) else file
        self._file = soundfile.SoundFile(handle, closefd=False)
        self.rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self._frames: int = self._file.frames
        self.frames: int | None = self._frames

    def states_length(self) -> bool:
        """Return whether `frames` can be trusted: reading stops there, but it may be a guess, or unknown."""
        if self._file.format == "MP3":
            return mpeg_frame_count(self._read_at) is not None
        return self._frames < 1 << 62

    def duration(self) -> float:
        """See `Decoder.duration`."""
        return self._frames / self.rate

    def blocks(self, first: int, last: int | None) -> Iterator[np.ndarray]:
        """See `Decoder.blocks`. Raises TRUNCATED if there are fewer frames than the header states."""
        frames = self._frames
        position, last = min(first, frames), min(frames if last is None else last, frames)
        try:
            self._file.seek(position)
            while position < last:
                count = min(max(1, BLOCK_VALUES // self.channels), last - position)
                block = self._file.read(count, dtype="float32", always_2d=True)
                position += len(block)
                yield mono(block.T)
                if len(block) < count:
                    break
        except soundfile.LibsndfileError as error:
            if self._raw.tell() >= self._size:
                raise AudioError(Reason.TRUNCATED, "it ends within an audio frame") from error
            detail = f"decoding stops at {position / self.rate:.2f} s: {error.error_string.rstrip('.')}"
            raise AudioError(Reason.DECODE_FAILED, detail) from error
        if last - position > (MPEG_FRAME if self._file.format == "MP3" else 0):
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
