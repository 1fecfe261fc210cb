"""Pictures for the report, without a drawing package: histograms as SVG, spectrograms as PNG, audio as MP3.

Colours of the SVG come from the page's style, so that they follow light and dark.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from html import escape

import numpy as np

from pipeline.audio.encode import encoded
from pipeline.audio.spectrogram import PALETTE, picture

WIDTH, HEIGHT, FOOT = 640, 150, 22  # of a histogram's own coordinates


def histogram(
    counts: Sequence[float], edges: Sequence[float], title: str, unit: str, marks: Sequence[float] = ()
) -> str:
    """Draw bars as SVG; `edges` has one value more than `counts`; `marks` are lines at their values."""
    values = np.asarray(counts, float)
    filled = np.flatnonzero(values)
    if len(filled) == 0:
        return ""
    first, last = max(int(filled[0]) - 1, 0), min(int(filled[-1]) + 2, len(values))
    values, bounds = values[first:last], np.asarray(edges, float)[first : last + 1]
    step, top = WIDTH / len(values), values.max()
    bars = [
        _bar(place * step, value / top * (HEIGHT - 8), max(step - 1, 1), f"{said}: {value:,.0f}")
        for place, value in enumerate(values)
        if (said := f"{_short(bounds[place])} to {_short(bounds[place + 1])} {unit}") and value > 0
    ]
    lines = [
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{HEIGHT}"/>'
        for mark in marks
        if 0 <= (x := float(np.interp(mark, bounds, np.arange(len(bounds)))) * step) <= WIDTH
    ]
    ticks = [
        f'<text x="{place * step:.1f}" y="{HEIGHT + 16}" text-anchor="{at}">{_short(bounds[place])}</text>'
        for place, at in ((0, "start"), (len(values) // 2, "middle"), (len(values), "end"))
    ]
    return (
        f"<figure><figcaption>{escape(title)} "
        f"<small>({escape(unit)}; the highest bar: {top:,.0f} rows)</small></figcaption>"
        f'<svg class="histogram" viewBox="0 0 {WIDTH} {HEIGHT + FOOT}" role="img" '
        f'aria-label="{escape(title)}">{"".join(bars)}{"".join(lines)}{"".join(ticks)}</svg></figure>'
    )


def spectrogram(waveform: np.ndarray, rate: int) -> str:
    """Draw a log-mel spectrogram, (samples,) float32, as a PNG data address; low bands at the bottom."""
    return "data:image/png;base64," + base64.b64encode(png(picture(waveform, rate))).decode()


def png(pixels: np.ndarray) -> bytes:
    """Encode uint8 values (rows, columns) as an indexed PNG in the spectrogram's colours.

    Format: https://www.w3.org/TR/png/
    """
    rows, columns = pixels.shape
    lines = np.concatenate(
        [np.zeros((rows, 1), np.uint8), pixels], axis=1
    )  # each line begins with its filter
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", PALETTE.tobytes()),
            _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def player(waveform: np.ndarray, rate: int) -> str:
    """Encode a waveform, (samples,) float32, as an MP3 data address, which every browser plays."""
    padded = np.clip(np.pad(waveform, (0, max(rate // 10 - len(waveform), 0))), -1, 1)
    return "data:audio/mpeg;base64," + base64.b64encode(encoded(padded, rate, "MP3")).decode()


def _bar(left: float, height: float, width: float, title: str) -> str:
    return (
        f'<rect x="{left:.1f}" y="{HEIGHT - height:.1f}" width="{width:.1f}" height="{height:.1f}">'
        f"<title>{escape(title)}</title></rect>"
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
