"""The two libraries that decode audio, behind one interface: libsndfile first, FFmpeg (PyAV) for the rest.

Knows how to open, seek and read blocks. What makes a clip unfit for a dataset is `audio`'s to say.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from io import FileIO
from pathlib import PurePath
from typing import Any, BinaryIO, Protocol

import av
import numpy as np
import soundfile

from pipeline.containers import mpeg_frame_count
from pipeline.utterance import Reason

BLOCK_VALUES = 1 << 18  # values (frames × channels) decoded at a time: 3 s of 44.1 kHz stereo
PREROLL = 0.25  # seconds decoded before a seek's target, for codecs that need a past: Opus asks for 80 ms
MPEG_FRAME = 1152  # samples; an encoder's padding makes the last one uncertain
RAW_FORMATS = {".g722": "g722"}  # headerless files, known by their name only
# FFmpeg probes some 300 demuxers, among them playlists, pictures and subtitles; only these hold recordings.
DEMUXERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,flac,flv,g722,matroska,mov,mp3,mpeg,mpegts,ogg,tak,tta,w64,wav,wv"
)
ESTIMATING_DEMUXERS = {
    "aac",
    "ac3",
    "amr",
    "mp3",
    "mpeg",
    "mpegts",
}  # they guess a duration from the bit rate
UNRECOGNISED = 1  # libsndfile's SF_ERR_UNRECOGNISED_FORMAT


class AudioError(Exception):
    """This audio cannot be used. `reason` is for counting, `detail` one sentence for a person."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class Decoder(Protocol):
    """An open recording."""

    rate: int  # Hz
    channels: int
    frames: int | None  # how many the header states, where it does so exactly

    def duration(self) -> float:
        """Seconds, as the header states; counted from the packets where it states nothing."""
        ...

    def close(self) -> None:
        """Let go of the file, which stays open."""
        ...

    def blocks(self, first: int, last: int | None) -> Iterator[np.ndarray]:
        """Mono float32 blocks of the frames [first, last), or up to the end; fewer where the recording ends.

        A sample is the mean over all channels. Raises AudioError.
        """
        ...


def open_decoder(file: BinaryIO, size: int, name: str) -> Decoder:
    """The decoder for `file` of `size` bytes; `name` only helps with formats that have no header.

    Raises AudioError when neither library can open it.
    """
    raw = RAW_FORMATS.get(PurePath(name).suffix.lower())
    if raw is not None:
        return AvDecoder(file, raw)
    try:
        decoder = SoundFileDecoder(file, size)
    except soundfile.LibsndfileError as refusal:
        file.seek(0)
        try:
            return AvDecoder(file)
        except AudioError as error:
            if refusal.code == UNRECOGNISED:
                raise
            detail = f"it cannot be decoded: {refusal.error_string.rstrip('.')}"
            raise AudioError(Reason.DECODE_FAILED, detail) from error
    if decoder.states_length():
        return decoder
    decoder.close()
    file.seek(0)
    return AvDecoder(file)


class SoundFileDecoder:
    """WAV, FLAC, MP3, Vorbis, Opus and what else libsndfile knows; LibsndfileError when it refuses."""

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
        """Whether `frames` can be trusted: reading stops there, but it may be a guess, or unknown."""
        if self._file.format == "MP3":
            return mpeg_frame_count(self._read_at) is not None
        return self._frames < 1 << 62

    def duration(self) -> float:
        """See `Decoder.duration`."""
        return self._frames / self.rate

    def blocks(self, first: int, last: int | None) -> Iterator[np.ndarray]:
        """See `Decoder.blocks`. TRUNCATED when there are fewer frames than the header states."""
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


class AvDecoder:
    """m4a, AAC, WebM, WMA, G.722 and what else FFmpeg knows. NOT_AUDIO when it finds no audio on opening."""

    frames: int | None = None

    def __init__(self, file: BinaryIO, format_name: str | None = None) -> None:
        options = {"format_whitelist": DEMUXERS}
        self._container: Any
        self._stream: Any
        try:
            self._container = av.open(file, format=format_name, options=options, metadata_errors="replace")
        except (av.error.FFmpegError, ValueError) as error:
            raise AudioError(Reason.NOT_AUDIO, "no decoder recognises it") from error
        if not self._container.streams.audio:
            raise AudioError(Reason.NOT_AUDIO, "it has no audio stream")
        self._stream = self._container.streams.audio[0]
        if self._stream.codec_context is None:
            raise AudioError(Reason.NOT_AUDIO, "no decoder knows its audio codec")
        self.rate, self.channels = self._stream.codec_context.sample_rate, self._stream.codec_context.channels

    def duration(self) -> float:
        """See `Decoder.duration`."""
        if self._container.format.name not in ESTIMATING_DEMUXERS:
            if self._stream.duration is not None:
                return float(self._stream.duration * self._stream.time_base)
            if self._container.duration is not None:
                return float(self._container.duration / av.time_base)
        packets = self._container.demux(self._stream)
        return sum(float((packet.duration or 0) * packet.time_base) for packet in packets if packet.size)

    def blocks(self, first: int, last: int | None) -> Iterator[np.ndarray]:
        """See `Decoder.blocks`."""
        if first:
            self._seek(first)
        position = None if first else 0
        for frame in self._decoded():
            if frame.sample_rate != self.rate:
                detail = f"its sample rate changes from {self.rate} to {frame.sample_rate} Hz"
                raise AudioError(Reason.DECODE_FAILED, detail)
            if position is None:
                position = self._position(frame)
            block = _mono_frame(frame)
            begin = max(0, first - position)
            stop = len(block) if last is None else max(0, min(len(block), last - position))
            position += len(block)
            yield block[begin:stop]
            if last is not None and position >= last:
                return

    def close(self) -> None:
        """See `Decoder.close`."""
        self._container.close()

    def _decoded(self) -> Iterator[Any]:
        """Decoded frames. TRUNCATED when the last packet is incomplete, DECODE_FAILED when another is bad."""
        packets = self._container.demux(self._stream)
        try:
            for packet in packets:
                if packet.is_corrupt:
                    raise AudioError(Reason.TRUNCATED, "it ends within a packet")
                try:
                    frames = packet.decode()
                except av.error.FFmpegError as error:
                    if not any(later.size for later in packets):
                        raise AudioError(Reason.TRUNCATED, "its last packet is incomplete") from error
                    detail = f"it cannot be decoded: {error.strerror}"
                    raise AudioError(Reason.DECODE_FAILED, detail) from error
                for frame in frames:
                    self.rate = self.rate or frame.sample_rate
                    yield frame
        except av.error.FFmpegError as error:  # of the demuxer
            raise AudioError(Reason.DECODE_FAILED, f"it cannot be read: {error.strerror}") from error

    def _seek(self, frame: int) -> None:
        origin = self._stream.start_time or 0
        ticks = origin + int(max(0.0, frame / self.rate - PREROLL) / self._stream.time_base)
        try:
            self._container.seek(ticks, stream=self._stream, backward=True)
        except av.error.FFmpegError as error:
            raise AudioError(Reason.DECODE_FAILED, f"it cannot be searched: {error.strerror}") from error

    def _position(self, frame: Any) -> int:
        """Index of a frame's first sample, after a seek."""
        if frame.pts is None:
            raise AudioError(Reason.DECODE_FAILED, "it cannot be searched: its frames have no time stamps")
        origin = (self._stream.start_time or 0) * self._stream.time_base
        position: int = round((frame.pts * frame.time_base - origin) * self.rate)
        return position


def mono(channels: np.ndarray) -> np.ndarray:
    """Mean over channels: (channels, samples) → (samples,), float32; summed in one order on any machine."""
    total: np.ndarray = channels[0]
    for channel in channels[1:]:
        total = total + channel
    return total if len(channels) == 1 else total * np.float32(1 / len(channels))


def _mono_frame(frame: Any) -> np.ndarray:
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    if values.dtype == np.uint8:
        values = (values.astype(np.float32) - 128) / 128
    elif values.dtype.kind == "i":
        values = values.astype(np.float32) / -float(np.iinfo(values.dtype).min)
    return mono(values.astype(np.float32, copy=False))


def silence_native_output() -> None:
    """Send what C libraries print to nowhere, for the rest of this process; Python's own stderr stays.

    mpg123 (in libsndfile) writes warnings straight to descriptor 2 and has no switch that soundfile reaches.
    """
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
