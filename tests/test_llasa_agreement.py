"""One prompt: what is exported, measured for its length, judged and spoken are the same tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import load_dataset
from llasa_helpers import Ramp
from publish_helpers import make_dataset

from pipeline.__main__ import main
from pipeline.config import Settings
from pipeline.dataset.reader import Dataset
from pipeline.llasa import tiny
from pipeline.llasa.generation import LocalGenerator
from pipeline.llasa.loading import ModelSettings
from pipeline.llasa.sampling import Sampling
from pipeline.llasa.speaking import open_speaker
from pipeline.validate import inputs

CODEBOOK = Ramp.codebook_size
TEXTS = ["Hello there.", "A tag <|s_3|> and <|eot_id|> in it.", "日本語です"]
CODES = [[1, 2, 3], [63, 0], [9]]


@pytest.fixture(params=["with a chat template", "without one"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    tokenizer = tiny.build_tokenizer(CODEBOOK)
    if request.param == "without one":
        tokenizer.chat_template = None
    folder = tmp_path / "model"
    tiny.save(tiny.build_model(tokenizer, hidden=32, heads=4, kv_heads=2), tokenizer, folder)
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    columns = ["id", "text", "code", "duration", "sample_rate", "audio"]
    every = {"duration": 0.1, "sample_rate": 16000, "audio": "a.wav"}
    pairs = enumerate(zip(TEXTS, CODES, strict=True))
    rows = [{"id": f"r{n}", "text": text, "code": codes} | every for n, (text, codes) in pairs]
    made = make_dataset(tmp_path / "out", rows, columns=columns, rejected=0, codebook_size=CODEBOOK)
    return made.root


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The prompts that models on this machine are given, in order."""
    seen: list[list[int]] = []
    generate = LocalGenerator.generate

    def watched(self: LocalGenerator, requests: Any, watch: Any = None) -> Any:
        seen.extend(request.prompt for request in requests)
        return generate(self, requests, watch)

    monkeypatch.setattr(LocalGenerator, "generate", watched)
    return seen


def exported_prompts(model: Path, dataset: Path, folder: Path) -> list[list[int]]:
    """What an exported sample holds before its first trained token."""
    arguments = ["export", dataset, "--to", "sft", "--tokenizer", model, "--output", folder]
    assert main([*map(str, arguments)]) == 0
    rows = load_dataset("parquet", data_files=str(folder / "**/*.parquet"), split="train").to_list()
    return [
        [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label == -100]
        for row in rows
    ]


def test_export_validate_speak_and_the_length_check_agree_token_for_token(
    model: Path, dataset: Path, tmp_path: Path, asked: list[list[int]]
) -> None:
    exported = exported_prompts(model, dataset, tmp_path / "sft")
    spoken = open_speaker(ModelSettings(name=str(model), device="cpu", max_tokens=512), Ramp())
    for text in TEXTS:
        spoken.speak([text], sampling=Sampling(max_codes=1, seed=0), mode="off")
    assert asked == exported
    asked.clear()
    judged = inputs.speaker(str(model), Ramp())
    for text in TEXTS:
        judged([text])
    assert asked[0] == exported[0]
    lengths = [len(prompt) + len(codes) + 1 for prompt, codes in zip(exported, CODES, strict=True)]
    counts = np.array([len(codes) for codes in CODES])
    for limit in (length + step for length in lengths for step in (-1, 0)):
        settings = Settings(validation={"max_length": limit})
        fits = inputs.fits(str(model), Dataset(dataset), settings)
        assert fits(pa.array(TEXTS), counts).tolist() == [length <= limit for length in lengths]
