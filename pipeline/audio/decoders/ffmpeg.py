"""Decoding by FFmpeg (PyAV): every container and codec that libsndfile does not know."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from io import SEEK_SET
from itertools import chain, islice
from typing import Any, BinaryIO

import av
import numpy as np

from pipeline.audio.decoders.protocol import AudioError, mono
from pipeline.utterance import Reason

PREROLL = 0.25  # seconds decoded before a seek's target, for codecs that need a past: Opus asks for 80 ms
# FFmpeg probes some 300 demuxers, among them playlists, pictures and subtitles; only these hold recordings.
DEMUXERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,flac,flv,g722,matroska,mov,mp3,mpeg,mpegts,ogg,tak,tta,w64,wav,wv"
)
MOST_PLANES = 8  # that PyAV reads of a frame; it reads past their end where there are more
MISSING = 0.25  # seconds that may be missing of what is stated, as containers round and codecs delay
# Tags need not be UTF-8. PyAV keeps such bytes by itself from 19 on, and before must be told to.
TAGS: dict[str, Any] = {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "replace"}
# They guess durations and places from the bit rate.
ESTIMATING_DEMUXERS = {"aac", "ac3", "amr", "mp3", "mpeg", "mpegts"}


class AvDecoder:
    """Decodes m4a, AAC, WebM, WMA, G.722 and all else that FFmpeg reads.

    Raises AudioError (NOT_AUDIO) if it finds no audio.
    """

    frames: int | None = None

    def __init__(self, file: BinaryIO, format_name: str | None = None, *, least_frames: int = 0) -> None:
        options = {"format_whitelist": DEMUXERS}
        self._container: Any
        self._stream: Any
        try:
            self._container = av.open(_Seekable(file), format=format_name, options=options, **TAGS)
        except (av.error.FFmpegError, ValueError) as error:
            raise AudioError(Reason.NOT_AUDIO, "no decoder recognises it") from error
        if not self._container.streams.audio:
            raise AudioError(Reason.NOT_AUDIO, "it has no audio stream")
        self._stream = self._container.streams.audio[0]
        if self._stream.codec_context is None:
            raise AudioError(Reason.NOT_AUDIO, "no decoder knows its audio codec")
        self.rate, self.channels = self._stream.codec_context.sample_rate, self._stream.codec_context.channels
        self._least_frames = least_frames

    def duration(self, deadline: float) -> float:
        """See `Decoder.duration`."""
        if self._container.format.name not in ESTIMATING_DEMUXERS:
            if self._stream.duration is not None:
                return float(self._stream.duration * self._stream.time_base)
            if self._container.duration is not None:
                return float(self._container.duration / av.time_base)
        seconds = 0.0
        try:
            for packet in self._container.demux(self._stream):
                seconds += float((packet.duration or 0) * packet.time_base) if packet.size else 0.0
                if time.thread_time() > deadline:
                    detail = (
                        f"it states no length, and counting came to {seconds:.0f} s within the time limit"
                    )
                    raise AudioError(Reason.DECODE_TIMEOUT, detail)
            return seconds
        except av.error.FFmpegError as error:
            raise AudioError(Reason.DECODE_FAILED, f"it cannot be read: {error.strerror}") from error

    def blocks(self, first: int, last: int | None) -> Iterator[np.ndarray]:
        """See `Decoder.blocks`."""
        frames, position = self._from(first)
        for frame in frames:
            if frame.sample_rate != self.rate:
                detail = f"its sample rate changes from {self.rate} to {frame.sample_rate} Hz"
                raise AudioError(Reason.DECODE_FAILED, detail)
            block = _mono_frame(frame)
            begin = max(0, first - position)
            stop = len(block) if last is None else max(0, min(len(block), last - position))
            position += len(block)
            yield block[begin:stop]
            if last is not None and position >= last:
                return
        least = max(self._least_frames, round((self._stated_seconds() - MISSING) * self.rate))
        if last is None and position < least:
            detail = f"it ends at {position / self.rate:.2f} s, and states {least / self.rate:.2f} s or more"
            raise AudioError(Reason.TRUNCATED, detail)

    def _stated_seconds(self) -> float:
        """Return the seconds that the container states of this stream, 0 if it states none."""
        if self._container.format.name in ESTIMATING_DEMUXERS or self._stream.duration is None:
            return 0.0
        return float(self._stream.duration * self._stream.time_base)

    def close(self) -> None:
        """See `Decoder.close`."""
        self._container.close()

    def _decoded(self) -> Iterator[Any]:
        """Yield decoded frames.

        Raises AudioError: TRUNCATED if the last packet is incomplete, DECODE_FAILED if another one is
        bad.
        """
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
                yield from frames
        except av.error.FFmpegError as error:  # of the demuxer
            raise AudioError(Reason.DECODE_FAILED, f"it cannot be read: {error.strerror}") from error

    def _from(self, first: int) -> tuple[Iterator[Any], int]:
        """Return frames from shortly before sample `first` on, and their position."""
        frames = self._decoded()
        if not first or self._container.format.name in ESTIMATING_DEMUXERS:
            return frames, 0
        opening = list(islice(frames, 2))
        origin = self._origin(opening)
        if origin is None:
            return chain(opening, frames), 0
        self._seek(origin + first)
        frames = self._decoded()
        landed = next(frames, None)
        if landed is None:
            return frames, first
        position = self._stamp(landed) - origin
        if position > first:
            raise AudioError(Reason.DECODE_FAILED, "it cannot be searched: its index points too far")
        return chain([landed], frames), position

    def _origin(self, opening: Sequence[Any]) -> int | None:
        """Return the time stamp of sample 0, in samples, from the first frames.

        Returns None if frames carry no times.

        Taken at the second frame: decoders shorten the first by a codec's delay and leave its time as
        it was.
        """
        if len(opening) < 2 or any(frame.pts is None for frame in opening):
            return None
        return self._stamp(opening[1]) - int(opening[0].samples)

    def _seek(self, stamp: int) -> None:
        """Go to a packet at least PREROLL before the time stamp (in samples)."""
        ticks = int(max(0.0, stamp / self.rate - PREROLL) / self._stream.time_base)
        try:
            self._container.seek(ticks, stream=self._stream, backward=True)
        except av.error.FFmpegError as error:
            raise AudioError(Reason.DECODE_FAILED, f"it cannot be searched: {error.strerror}") from error

    def _stamp(self, frame: Any) -> int:
        """Return a frame's time stamp in samples, as exact as the container has it.

        WebM and WMA count in ms.
        """
        if frame.pts is None:
            raise AudioError(Reason.DECODE_FAILED, "it cannot be searched: its frames have no time stamps")
        stamp: int = round(frame.pts * frame.time_base * self.rate)
        return stamp


class _Seekable:
    """A file that answers a seek to nowhere with -1: PyAV prints the traceback of an exception."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.tell, self._seek = file.read, file.tell, file.seek

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        try:
            return self._seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1


def _mono_frame(frame: Any) -> np.ndarray:
    channels = frame.layout.nb_channels
    if channels == 0:
        raise AudioError(Reason.DECODE_FAILED, "it has no channels")
    try:
        if frame.format.is_planar and channels > MOST_PLANES:
            packed = av.AudioResampler(frame.format.name.removesuffix("p"), frame.layout, frame.sample_rate)
            (frame,) = packed.resample(frame)
        values = frame.to_ndarray()
    except (av.error.FFmpegError, ValueError) as error:  # an uncommon format, such as 64-bit integers
        detail = f"its sample format {frame.format.name} is not supported"
        raise AudioError(Reason.DECODE_FAILED, detail) from error
    if not frame.format.is_planar:
        values = values.reshape(-1, channels).T
    if values.dtype == np.uint8:
        values = (values.astype(np.float32) - 128) / 128
    elif values.dtype.kind == "i":
        values = values.astype(np.float32) / -float(np.iinfo(values.dtype).min)
    return mono(values.astype(np.float32, copy=False))
