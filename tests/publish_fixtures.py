"""Fixtures: a dataset, a tokenizer, a Hub on loopback with clients that are pointed at it, and no waiting."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from publish_helpers import ROWS, Waits, llama_tokenizer, make_dataset
from publish_hub import TOKEN, Hub
from publish_hub_server import serving

from pipeline.dataset.reader import Dataset
from pipeline.llasa_format import tokenizer as llasa_tokenizer
from pipeline.publish import packing


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub, and clients in this process that are pointed at it."""
    constants = pytest.importorskip("huggingface_hub.constants")
    with serving() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # large files by LFS, which loopback has
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path / "out", ROWS)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    """Seconds that were waited, here and in huggingface_hub, without waiting."""
    waited: Waits = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


@pytest.fixture
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "ROWS_PER_FILE", 4)  # three files of ROWS


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return llama_tokenizer()


@pytest.fixture(scope="module")
def tokenizer_folder(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def tokenizers_loaded_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(llasa_tokenizer, "load_tokenizer", functools.cache(llasa_tokenizer.load_tokenizer))
        yield
