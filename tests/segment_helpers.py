"""Long recordings made of the sample's prompts, and what segment made of them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import soundfile

from pipeline.audio.decode import decode, resample
from pipeline.segment.folder import PreparedFolder
from pipeline.segment.run import segment_recordings
from pipeline.segment.settings import SegmentSettings
from pipeline.storage.claims import Rank

SAMPLE = Path(__file__).parents[1] / "data/sample"
RATE = 16_000
PROMPTS = {
    "prompts/tt-weasels.wav": "Weasels have eaten our phone system",
    "prompts/conf-locked.wav": "This conference is locked!",
    "prompts/vm-whichbox.flac": "To leave a message, please enter a mailbox number.",
    "prompts/queue-youarenext.g722": "Your call is now first in line and will be answered by the next "
    "available representative.",
}


def prompt(number: int, rate: int = RATE) -> np.ndarray:
    """One of PROMPTS, float32 (n,)."""
    path = SAMPLE / "audio" / list(PROMPTS)[number]
    waveform, stated = decode(path, max_seconds=60, deadline_seconds=60)
    return resample(waveform, stated, rate).numpy()


def silence(seconds: float, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1e-4, round(seconds * rate)).astype(np.float32)


def record(path: Path, numbers: Sequence[int], pause: float = 1.2, rate: int = RATE) -> Path:
    """Write a recording of prompts with pauses between them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [silence(1, rate)]
    for number in numbers:
        parts += [prompt(number, rate), silence(pause, rate)]
    soundfile.write(path, np.concatenate(parts), rate)
    return path


def segments(prepared: Path) -> list[dict[str, Any]]:
    """All rows, in order."""
    paths = sorted((prepared / "segments").glob("*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def omissions(prepared: Path) -> list[dict[str, Any]]:
    paths = sorted((prepared / "rejected").glob("*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]


def contents(root: Path) -> dict[str, bytes]:
    """Every file below a folder that is not hidden."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def segment_killed_once(root: Path, rank: Rank, device: str | None) -> None:
    """Segment `root/in` to `root/killed` in a process that is killed when it has done a part, once a rank."""
    seen, finish = root / f"killed-{rank.number}", PreparedFolder.finish_part

    def finish_and_die(self: PreparedFolder, number: int) -> None:
        finish(self, number)
        if not seen.exists():
            seen.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    PreparedFolder.finish_part = finish_and_die
    settings = SegmentSettings(asr="fake:", recordings_per_part=1)
    segment_recordings(str(root / "in"), str(root / "killed"), settings, rank=rank, say=lambda _: None)
