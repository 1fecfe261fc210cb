"""Real audio files in every container, made on the spot, and ways to break them."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import soundfile

from pipeline.audio.source import FolderSource

SOUNDFILE_FORMS = {  # file name: format and subtype of libsndfile
    "u8.wav": ("WAV", "PCM_U8"),
    "s16.wav": ("WAV", "PCM_16"),
    "s24.wav": ("WAV", "PCM_24"),
    "s32.wav": ("WAV", "PCM_32"),
    "float.wav": ("WAV", "FLOAT"),
    "double.wav": ("WAV", "DOUBLE"),
    "extensible.wav": ("WAVEX", "PCM_16"),
    "rf64.wav": ("RF64", "PCM_16"),
    "a.aiff": ("AIFF", "PCM_16"),
    "a.flac": ("FLAC", "PCM_16"),
    "a.mp3": ("MP3", "MPEG_LAYER_III"),
    "a.ogg": ("OGG", "VORBIS"),
    "a.opus": ("OGG", "OPUS"),
}
AV_FORMS = {  # file name: muxer, codec, rate it is encoded at
    "a.m4a": ("ipod", "aac", 48000),
    "a.aac": ("adts", "aac", 48000),
    "a.webm": ("webm", "libopus", 48000),
    "a.wma": ("asf", "wmav2", 48000),
    "a.g722": ("g722", "g722", 16000),
}
FORMS = [*SOUNDFILE_FORMS, *AV_FORMS]
LOSSLESS = [
    "s16.wav",
    "s24.wav",
    "s32.wav",
    "float.wav",
    "double.wav",
    "extensible.wav",
    "rf64.wav",
    "a.flac",
]


def speechlike(seconds: float, rate: int = 48000, seed: int = 0) -> np.ndarray:
    """Float32 (samples,): a gliding voice with syllables and breath, no two seconds alike."""
    t = np.arange(round(seconds * rate)) / rate
    pitch = 2 * np.pi * (120 * t + 15 * np.sin(2 * np.pi * 0.4 * t + seed))
    voice = sum(np.sin(k * pitch) / k for k in range(1, 12))
    breath = 0.05 * np.random.default_rng(seed).standard_normal(len(t))
    return ((0.2 * voice + breath) * (0.55 + 0.45 * np.sin(2 * np.pi * 3 * t))).astype(np.float32)


def write(path: Path, waveform: np.ndarray, rate: int = 48000) -> Path:
    """Encode float32 (samples,) or (samples, channels) in the form of FORMS that the file's name asks for."""
    waveform = waveform[:, None] if waveform.ndim == 1 else waveform
    if path.name in AV_FORMS:
        _write_av(path, waveform, rate)
    else:
        form, subtype = SOUNDFILE_FORMS.get(path.name, ("WAV", "PCM_16"))
        soundfile.write(path, waveform, rate, format=form, subtype=subtype)
    return path


def cut(path: Path, share: float) -> Path:
    """Keep only the first `share` of a file's bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def _write_av(path: Path, waveform: np.ndarray, rate: int) -> None:
    muxer, codec, coded_rate = AV_FORMS[path.name]
    layout = "stereo" if waveform.shape[1] == 2 and codec != "g722" else "mono"
    with av.open(str(path), "w", format=muxer) as container:
        stream = container.add_stream(codec, rate=coded_rate, layout=layout)
        stream.bit_rate = 128_000
        given = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(waveform.T),
            format="fltp",
            layout="stereo" if waveform.shape[1] == 2 else "mono",
        )
        given.sample_rate = rate
        resampler = av.AudioResampler(
            stream.codec_context.format, layout, coded_rate, stream.frame_size or 1024
        )
        for frame in [*resampler.resample(given), *resampler.resample(None)]:
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@dataclass(frozen=True)
class HarmfulSource(FolderSource):
    """A folder whose files do things to the process that opens them, by words in their names."""

    def open(self, locator: str) -> BinaryIO:
        path = self.root / locator
        if "kills" in locator or ("once" in locator and not _seen(path)):
            os.kill(os.getpid(), signal.SIGKILL)
        if "thrice" in locator and not all(_seen(path.with_stem(f"{path.stem}-{i}")) for i in range(3)):
            os.kill(os.getpid(), signal.SIGKILL)
        if "stops" in locator and not _seen(path):
            os.kill(os.getpid(), signal.SIGSTOP)
        if "segfaults" in locator:
            ctypes.string_at(0)
        if "hangs" in locator:
            threading.Event().wait()
        if "interrupts" in locator:
            os.kill(os.getpid(), signal.SIGINT)
        if "breaks" in locator:
            raise RuntimeError("a bug in the source")
        return super().open(locator)


def _seen(path: Path) -> bool:
    mark = path.with_suffix(".seen")
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return True
    return False


def die_at_start(worker_id: int) -> None:
    """In the place of a worker's first step."""
    os.kill(os.getpid(), signal.SIGKILL)


class Ogg:
    """The pages of an Ogg file, to be changed and put together again with their checksums."""

    def __init__(self, content: bytes) -> None:
        self.pages: list[bytearray] = []
        while content:
            body = 27 + content[26]
            size = body + sum(content[27:body])
            self.pages.append(bytearray(content[:size]))
            content = content[size:]

    def position(self, page: int) -> int:
        return int.from_bytes(self.pages[page][6:14], "little", signed=True)

    def set_position(self, page: int, position: int) -> None:
        self.pages[page][6:14] = position.to_bytes(8, "little", signed=True)

    def content(self) -> bytes:
        for page in self.pages:
            page[22:26] = bytes(4)
            page[22:26] = _ogg_checksum(page).to_bytes(4, "little")
        return b"".join(self.pages)


def _ogg_checksum(page: bytes) -> int:
    """The CRC of RFC 3533: polynomial 0x04C11DB7, from 0, not reflected."""
    register = 0
    for byte in page:
        register = (register << 8) & 0xFFFFFFFF ^ OGG_TABLE[register >> 24 ^ byte]
    return register


def _ogg_entry(byte: int) -> int:
    register = byte << 24
    for _ in range(8):
        register = (register << 1 ^ 0x04C11DB7 if register & 0x80000000 else register << 1) & 0xFFFFFFFF
    return register


OGG_TABLE = [_ogg_entry(byte) for byte in range(256)]
