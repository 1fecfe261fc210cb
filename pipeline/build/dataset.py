"""Makes a dataset with one call: what `create_dataset.py` and the library's users share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import config as configuration
from pipeline.build.create import Say, check_reject_rate, create
from pipeline.build.measuring import check_annotators, measure
from pipeline.config import Settings
from pipeline.dataset.folder import check_output
from pipeline.dataset.reader import Dataset
from pipeline.dataset.single_file import dataset_folder
from pipeline.storage.claims import claimed
from pipeline.storage.paths import resolve_path


def create_dataset(
    audio: str | Path | None = None,
    text: str | Path | None = None,
    *,
    output: str | Path,
    config: str | Path | Settings | None = None,
    settings: Mapping[str, Any] | None = None,
    retry_rejected: bool = False,
    say: Say = lambda line: None,
) -> Dataset:
    """Turn recordings with transcripts into a dataset of text and codes; the same call resumes it.

    `audio` and `text` are the folder of recordings and its transcripts; without them the configuration names
    the corpus. `output` is a folder or URL for shards, or a `NAME.jsonl` for one file. `config` is a YAML
    file or `Settings` (default: the sample corpus and codec), over which `settings` puts dotted keys, such as
    `{"codec.bf16": True}`. `retry_rejected` tries clips again that were rejected before. `say` receives a
    line of progress now and then.

    Raises UsageError for whatever is wrong with the arguments, the corpus, or an output made with other
    settings; TooManyRejected if the finished dataset lacks more than `limits.max_reject_rate` allows.

    >>> from pipeline import create_dataset
    >>> dataset = create_dataset(output="out/sample")
    >>> dataset.stats()["rows"]
    64
    """
    resolved = configuration.resolve(config, audio=audio, text=text, values=settings or {})
    target = resolve_path(output)
    check_output(target, resolved)
    check_annotators(resolved)
    with claimed(dataset_folder(target)):
        dataset = create(target, resolved, say, retry_rejected=retry_rejected)
    measure(dataset, resolved)
    check_reject_rate(dataset, resolved)
    return dataset
