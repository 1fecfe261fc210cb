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
LONGEST = (  # files of tests, begun first, so that at the end no core waits for another
    "test_engine_ray",
    "test_plan_ray",
    "test_soak",
    "test_ui_page",
    "test_llasa_decoder",
    "test_faults",
    "test_codec_activation",
    "test_codec_batches",
    "test_notebook",
    "test_pipelined",
    "test_publish_training",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the longest files to the front, each still whole."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONGEST)))


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
