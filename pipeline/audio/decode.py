"""Turns a recording into a mono waveform: probes its header, decodes it, resamples it.

The functions are pure: they depend on a file's bytes alone. Importing this module does not load torch, so
planning starts at once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from io import SEEK_END
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from pipeline.audio.decoders import AudioError, Decoder, open_decoder
from pipeline.audio.decoders.containers import truncation
from pipeline.audio.source import AudioSource, open_file
from pipeline.utterance import Reason

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AudioError", "Probe", "decode", "open_audio", "probe", "resample"]

LOUDEST = 16.0  # of full scale, +24 dBFS: samples that were never scaled to it, or damaged
PROBE_SECONDS = 60.0  # of processor time that planning gives to one header
SILENCE = 1e-4  # of full scale, -80 dBFS: three steps of 16 bits, above dither and below the faintest speech
OVERSHOOT = 0.5  # seconds a segment may end past its recording, as Kaldi's extract-segments allows
RATES = range(1_000, 768_001)  # Hz; outside, the header is damaged, and its numbers size buffers
KERNEL_VALUES = (
    1_000_000  # largest resampling kernel that is built; odd rates such as 44,101 Hz would take GiB
)


@dataclass(frozen=True, slots=True)
class Probe:
    """What a header states: `duration` in seconds, `sample_rate` in Hz."""

    duration: float
    sample_rate: int
    channels: int


def probe(file: Path | BinaryIO, *, deadline_seconds: float = PROBE_SECONDS) -> Probe:
    """Read a file's header, and no more than that where the header states a length.

    A BinaryIO must be seekable, and stays open. Raises AudioError, also if counting an unstated length takes
    more than `deadline_seconds` of processor time.
    """
    deadline = time.thread_time() + deadline_seconds
    with open_recording(file, whole=False) as decoder:
        return Probe(decoder.duration(deadline), decoder.rate, decoder.channels)


def decode(
    file: Path | BinaryIO,
    *,
    start: float | None = None,
    end: float | None = None,
    max_seconds: float,
    deadline_seconds: float,
) -> tuple[Tensor, int]:
    """Decode a file, or its part from `start` to `end` (seconds), to the mean of its channels.

    Returns the waveform, float32 (samples,), and its rate in Hz. Works in blocks and stops as soon as
    there are more than `max_seconds` of audio or this thread has computed for `deadline_seconds`: time in
    which it is stopped, or waits for a busy machine, is not held against a recording. Raises AudioError,
    also for audio that is not finite, far out of range, silent throughout, or has no samples.
    """
    import torch

    deadline = time.thread_time() + deadline_seconds
    with open_recording(file, whole=end is None) as decoder:
        if decoder.rate not in RATES:
            raise AudioError(Reason.DECODE_FAILED, f"its header states a sample rate of {decoder.rate:,} Hz")
        first = round((start or 0.0) * decoder.rate)
        last = None if end is None else round(end * decoder.rate)
        waveform = _collect(decoder, first, last, max_seconds, deadline)
    _check_segment(len(waveform), first, last, decoder.rate)
    _check_content(waveform)
    return torch.from_numpy(waveform), decoder.rate


def resample(waveform: Tensor, rate: int, target: int) -> Tensor:
    """Resample float32 (samples,) from `rate` Hz to (ceil(samples * target / rate),) at `target` Hz."""
    if rate == target:
        return waveform
    resampled: Tensor = _resampler(rate, target)(waveform)
    return resampled


@contextmanager
def open_audio(source: AudioSource, locator: str) -> Iterator[BinaryIO]:
    """Open what a source has at a locator. Raises AudioError for errors of the operating system."""
    with _audio_errors():
        file = source.open(locator)
    with file:
        yield file


@contextmanager
def open_recording(file: Path | BinaryIO, *, whole: bool = True) -> Iterator[Decoder]:
    """Open a decoder on a complete recording; `whole` if it will be read to its end. Raises AudioError."""
    with (
        _audio_errors(),
        open_file(file) if isinstance(file, Path) else nullcontext(file) as opened,
        closing(_decoder(opened, whole)) as decoder,
    ):
        yield decoder


@contextmanager
def _audio_errors() -> Iterator[None]:
    """Turn errors of the operating system into AudioErrors."""
    try:
        yield
    except FileNotFoundError as error:
        detail = "the file is not there" if error.strerror else str(error)
        raise AudioError(Reason.MISSING_AUDIO, detail) from error
    except OSError as error:
        raise AudioError(Reason.DECODE_FAILED, f"it cannot be read: {error.strerror or error}") from error


def _decoder(file: BinaryIO, whole: bool) -> Decoder:
    size = file.seek(0, SEEK_END)
    if size == 0:
        raise AudioError(Reason.EMPTY_FILE, "the file has no bytes")

    def read_at(offset: int, count: int) -> bytes:
        file.seek(offset)
        return file.read(count)

    short = truncation(read_at, size)
    if short is not None:
        raise AudioError(Reason.TRUNCATED, short)
    file.seek(0)
    return open_decoder(file, size, str(getattr(file, "name", "")), whole=whole)


def _collect(
    decoder: Decoder, first: int, last: int | None, max_seconds: float, deadline: float
) -> np.ndarray:
    """Join the decoder's blocks, holding at most `max_seconds` and a block."""
    limit = math.ceil(max_seconds * decoder.rate)
    stated = (last if last is not None else decoder.frames or 0) - first
    if stated > limit:
        raise AudioError(
            Reason.TOO_LONG, f"it lasts {stated / decoder.rate:,.2f} s, the limit is {max_seconds:g} s"
        )
    blocks: list[np.ndarray] = []
    samples = 0
    for block in decoder.blocks(first, last):
        blocks.append(block)
        samples += len(block)
        if samples > limit:
            raise AudioError(Reason.TOO_LONG, f"it lasts more than the limit of {max_seconds:g} s")
        if time.thread_time() > deadline:
            seconds = samples / decoder.rate
            raise AudioError(
                Reason.DECODE_TIMEOUT, f"time was up after {seconds:.2f} s of audio were decoded"
            )
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def _check_segment(samples: int, first: int, last: int | None, rate: int) -> None:
    missing = 0 if last is None else (last - first - samples) / rate
    if missing > OVERSHOOT or (samples == 0 and last is not None and last > first):
        detail = f"the recording ends {missing:.2f} s before the end of this part of it"
        raise AudioError(Reason.TRUNCATED, detail)
    if samples == 0:
        raise AudioError(Reason.TOO_SHORT, "it has no samples")


def _check_content(waveform: np.ndarray) -> None:
    low, high = float(waveform.min()), float(waveform.max())  # a NaN anywhere makes both NaN
    if not (math.isfinite(low) and math.isfinite(high)):
        raise AudioError(Reason.NOT_FINITE, "it has samples that are NaN or infinite")
    if max(-low, high) > LOUDEST:
        detail = f"its samples reach {max(-low, high):,.4g} times full scale: scale them to -1 to 1"
        raise AudioError(Reason.OUT_OF_RANGE, detail)
    if (high - low) / 2 < SILENCE:  # half the swing, so that a constant offset is silence too
        raise AudioError(Reason.SILENT, f"no sample is {SILENCE:g} of full scale away from the middle")


@lru_cache(maxsize=32)
def _resampler(rate: int, target: int) -> Callable[[Tensor], Tensor]:
    """Return the resampler of a pair of rates, its kernel computed once."""
    import torchaudio

    common = math.gcd(rate, target)
    if (rate // common) * (target // common) <= KERNEL_VALUES:
        resampler: Callable[[Tensor], Tensor] = torchaudio.transforms.Resample(rate, target)
        return resampler
    return lambda waveform: _resample_spectrum(waveform, rate // common, target // common)


def _resample_spectrum(waveform: Tensor, rate: int, target: int) -> Tensor:
    """Resample in one Fourier transform, for ratios (in lowest terms) whose kernel would be too large.

    Zeros fill the waveform up to a whole number of periods of the ratio, at least one eighth of a period more
    than it has, so that both ends do not meet and the output's length is exact.
    """
    import torch

    samples = len(waveform)
    periods = math.ceil(samples / rate + 1 / 8)
    # numpy's transform gives the same bits with any number of threads; torch's does not
    spectrum = np.fft.rfft(waveform.numpy(), n=periods * rate)
    resampled = np.fft.irfft(spectrum, n=periods * target) * (target / rate)
    return torch.from_numpy(resampled[: math.ceil(samples * target / rate)].astype(np.float32))
