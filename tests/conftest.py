"""Small fixtures that many rooms' tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import settings

settings.register_profile("no deadline", deadline=None)  # a busy machine is no failure
settings.load_profile("no deadline")

MakeClip = Callable[..., Path]


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """Writes a short clip of noise below `tmp_path / "audio"`; the same name gives the same samples."""

    def make(name: str, seconds: float = 0.3, rate: int = 16000, folder: Path | None = None) -> Path:
        path = (folder or tmp_path / "audio") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = np.random.default_rng(len(name) + sum(name.encode())).normal(0, 0.1, round(seconds * rate))
        soundfile.write(path, samples.astype(np.float32), rate)
        return path

    return make
