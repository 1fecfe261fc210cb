"""The two libraries that decode audio, behind one interface: libsndfile first, FFmpeg (PyAV) for the rest."""

from __future__ import annotations

import os
import sys
from pathlib import PurePath
from typing import BinaryIO

import soundfile

from pipeline.audio.decoders.ffmpeg import AvDecoder
from pipeline.audio.decoders.protocol import AudioError, Decoder
from pipeline.audio.decoders.sndfile import SoundFileDecoder
from pipeline.utterance import Reason

__all__ = ["AudioError", "Decoder", "open_decoder", "silence_native_output"]

RAW_FORMATS = {".g722": "g722"}  # headerless files, known by their name only
UNRECOGNISED = 1  # libsndfile's SF_ERR_UNRECOGNISED_FORMAT


def open_decoder(file: BinaryIO, size: int, name: str, *, whole: bool) -> Decoder:
    """Return the decoder for `file` of `size` bytes; `name` only helps with formats that have no header.

    If it is to be read whole, its stated length is compared with what its bytes hold: where libsndfile would
    stop early, FFmpeg reads on. Raises AudioError if neither library can open it.
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
    least = decoder.least_frames() if whole else 0
    if decoder.states_length() and least <= (decoder.frames or 0):
        return decoder
    decoder.close()
    file.seek(0)
    return AvDecoder(file, least_frames=least)


def silence_native_output() -> None:
    """Discard what C libraries print, for the rest of this process; Python's own stderr stays.

    mpg123 (in libsndfile) writes warnings straight to descriptor 2 and has no switch that soundfile
    reaches.
    """
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
