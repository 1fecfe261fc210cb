"""A folder of clips, sound and broken, and what a loader makes of them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from audio_helpers import HarmfulSource, cut, speechlike, write

from pipeline.config import LimitSettings, LoadSettings
from pipeline.loader import Batch, Request, load
from pipeline.utterance import Reason, Utterance

NAMES = ["a.flac", "s16.wav", "a.mp3", "a.opus", "a.m4a"]
Work = list[tuple[int, list[Request]]]
BROKEN = {
    "truncated.wav": Reason.TRUNCATED,
    "silent.wav": Reason.SILENT,
    "nan.wav": Reason.NOT_FINITE,
    "long.wav": Reason.TOO_LONG,
    "short.wav": Reason.TOO_SHORT,
    "empty.wav": Reason.EMPTY_FILE,
    "text.wav": Reason.NOT_AUDIO,
    "missing.wav": Reason.MISSING_AUDIO,
}


def make_clips(folder: Path) -> Path:
    """Twelve sound clips of 0.3 to 0.9 s in five forms, and one of every kind of broken file."""
    for number in range(12):
        rate = [44100, 16000, 48000][number % 3] if number % 5 < 3 else 48000
        name = NAMES[number % len(NAMES)]
        written = write(folder / name, speechlike(0.3 + 0.05 * number, rate, number), rate)
        written.rename(folder / f"{number:02d}-{name}")
    cut(write(folder / "s16.wav", speechlike(1.0)), 0.5).rename(folder / "truncated.wav")
    write(folder / "s16.wav", np.zeros(48000, np.float32)).rename(folder / "silent.wav")
    write(folder / "float.wav", np.full(48000, np.nan, np.float32)).rename(folder / "nan.wav")
    write(folder / "s16.wav", speechlike(9.0)).rename(folder / "long.wav")
    write(folder / "s16.wav", speechlike(0.05)).rename(folder / "short.wav")
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("not audio at all\n" * 100)
    for harm in ("kills", "segfaults", "hangs", "interrupts", "breaks"):
        write(folder / "s16.wav", speechlike(0.4)).rename(folder / f"{harm}.wav")
    return folder


def sound(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("[0-9]*-*"))


def work(names: Iterable[str], size: int = 3) -> Work:
    requests = [Request(row, Utterance(name, name, "text")) for row, name in enumerate(names)]
    return [(100 + i, requests[i : i + size]) for i in range(0, len(requests), size)]


def loaded(
    folder: Path, batches: Iterable[tuple[int, list[Request]]], workers: int, **limits
) -> Iterator[Batch]:
    return load(
        batches,
        source=HarmfulSource(folder),
        sample_rate=16000,
        settings=LoadSettings(num_workers=workers, prefetch=2, batch_seconds=30, decode_timeout=1.0),
        limits=LimitSettings(**{"max_seconds": 5.0} | limits),
        pin_memory=True,
    )


def content(batches: Iterable[Batch]) -> list:
    """All that a batch says, comparable."""
    return [
        (
            batch.key,
            batch.rejections,
            batch.lengths.tolist(),
            zlib.crc32(batch.waveforms.numpy().tobytes()),
            [
                (c.row, zlib.crc32(c.waveform.numpy().tobytes()), c.sample_rate, c.duration)
                for c in batch.clips
            ],
        )
        for batch in batches
    ]


def fates(batches: Iterable[Batch]) -> dict[int, Reason | None]:
    """What became of each row; no row comes twice."""
    pairs = [
        pair
        for batch in batches
        for pair in [
            *((clip.row, None) for clip in batch.clips),
            *((row, rejection.reason) for row, rejection in batch.rejections),
        ]
    ]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)
