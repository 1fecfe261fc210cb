"""Waveforms as sound files, in memory: libsndfile does not always tell when a disk refuses its writes."""

from __future__ import annotations

import io

import numpy as np


def encoded(waveform: np.ndarray, rate: int, form: str, subtype: str | None = None) -> bytes:
    """Return a file of float32 (samples,); `form` and `subtype` as soundfile names them.

    Raises ValueError if such a file cannot have the `rate`, in Hz.
    """
    import soundfile

    file = io.BytesIO()
    try:
        soundfile.write(file, waveform, rate, format=form, subtype=subtype)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{form} at {rate:,} Hz: {error.error_string}") from error
    return file.getvalue()
