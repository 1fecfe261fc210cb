"""From codes to sound in pieces that join without clicks: for streaming, and for speech of any length.

A codec's decoder looks some way to both sides, so a piece is decoded with its neighbours, and where two
decodings meet, one fades into the other over codes that both of them hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pipeline.codec.protocol import Codec

CONTEXT = 100  # codes (2 s) that a piece is decoded with before it
AHEAD = 10  # codes (0.2 s) after it: what a stream lags behind
WHOLE = 1500  # codes (30 s) that are decoded at once
FADE_IN = 80  # samples (5 ms) after a cut through a reference's sound


class StreamDecoder:
    """Takes codes as they come and gives the sound that is certain.

    `prefix`: codes before, not to be heard.
    """

    def __init__(self, codec: Codec, prefix: np.ndarray | None = None, context: int = CONTEXT) -> None:
        self._codec, self._context = codec, context
        self._codes = np.empty(0, np.uint16) if prefix is None else prefix.astype(np.uint16)
        self._heard = len(self._codes)
        self._fade_in = self._heard > 0
        self._tail = np.empty(0, np.float32)  # how the last decoding went on past what was given out

    def push(self, codes: np.ndarray, *, final: bool = False) -> np.ndarray:
        """Add codes, (n,), and return the next samples, float32; all the rest if `final`."""
        self._codes = np.concatenate([self._codes, codes.astype(np.uint16)])
        ready = len(self._codes) if final else len(self._codes) - AHEAD
        if ready <= self._heard:
            return np.empty(0, np.float32)
        first = max(0, self._heard - self._context)
        waveform = self._codec.decode([self._codes[first:]])[0]
        hop = len(waveform) // (len(self._codes) - first)
        start, end = (self._heard - first) * hop, (ready - first) * hop
        piece = waveform[start:end].copy()
        self._smooth(piece)
        self._tail = waveform[end : end + hop].copy()
        self._heard = ready
        return piece

    def _smooth(self, piece: np.ndarray) -> None:
        """Begin a piece where the last one left off, in place."""
        length = min(len(self._tail), len(piece))
        if length:
            rising = np.arange(length, dtype=np.float32) / length
            piece[:length] = rising * piece[:length] + (1 - rising) * self._tail[:length]
        elif self._fade_in:
            length = min(FADE_IN, len(piece))
            piece[:length] *= np.arange(length, dtype=np.float32) / length
        self._fade_in = False


def decode_joined(codec: Codec, codes: np.ndarray, prefix: np.ndarray | None = None) -> np.ndarray:
    """Decode all codes to float32 (len(codes) * samples a code,), without the prefix's sound.

    Sentences generated one after another are joined as codes and decoded as one, so there is no seam at
    all; past `WHOLE` codes the pieces overlap.
    """
    if len(codes) == 0:
        return np.empty(0, np.float32)
    stream = StreamDecoder(codec, prefix, context=max(CONTEXT, 0 if prefix is None else len(prefix)))
    pieces = [codes[start : start + WHOLE] for start in range(0, len(codes), WHOLE)]
    last = len(pieces) - 1
    return np.concatenate([stream.push(piece, final=i == last) for i, piece in enumerate(pieces)])
