"""The sentences that the page offers: what the model was trained on, where that is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from pipeline.dataset.reader import Dataset
from pipeline.llasa.loading import SAMPLES
from pipeline.llasa.sentences import split
from pipeline.runtime import REPOSITORY

OFFERED = 4
LONGEST = 120  # characters
SAMPLE_SCORES = "data/sample/scores.json"  # what was heard of the texts that the sample model was asked for
USUAL = (
    "こんにちは。今日はとても良い天気ですね。",
    "吾輩は猫である。名前はまだ無い。",
    "Hello, and welcome to the machine that reads.",
    "The quick brown fox jumps over the lazy dog.",
)


def is_sample(model: str) -> bool:
    """Return whether a model, as the user names it, is the sample that comes along."""
    return model == "sample" or Path(model).resolve() in {(REPOSITORY / name).resolve() for name in SAMPLES}


def examples(model: str, dataset: Path | None) -> list[str]:
    """Return sentences that the sample model says well, or for another model of the dataset, or usual ones.

    A text of several sentences is spoken in parts, none of which was trained alone: it is not offered.
    """
    texts: Iterator[str] = iter(())
    if is_sample(model) and (REPOSITORY / SAMPLE_SCORES).is_file():
        scores = json.loads((REPOSITORY / SAMPLE_SCORES).read_text(encoding="utf-8"))
        spoken = scores["llasa, trained texts"]["transcripts"]
        texts = (one["text"] for one in spoken if one["text"] == one["heard"])
    elif dataset is not None:
        texts = (text for table in Dataset(dataset).tables(["text"]) for text in table["text"].to_pylist())
    single = (text for text in texts if len(text) <= LONGEST and len(split(text)) == 1)
    found = list(islice(single, OFFERED))
    return found or list(USUAL)
