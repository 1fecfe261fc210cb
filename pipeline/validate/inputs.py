"""Opens what a validation needs: the dataset, its codec and recordings, a model, a tokenizer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import CodecSettings, Settings
from pipeline.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from pipeline.codec.protocol import Codec
    from pipeline.dataset.reader import Dataset
    from pipeline.validate.listening.exact import Encode
    from pipeline.validate.listening.sample import Recordings
    from pipeline.validate.listening.speaking import Said, Speak
    from pipeline.validate.rows.scan import Fits
    from pipeline.validate.session import Inputs

TOKENIZED_AT_ONCE = 1000  # texts
DOWNLOADS = "validated"  # folder here for datasets of the Hub, and their reports


def open_dataset(output: str) -> Dataset:
    """Open the dataset that OUT names. Raises UsageError if there is none."""
    from pipeline.dataset.reader import Dataset
    from pipeline.dataset.single_file import dataset_folder

    path = Path(output)
    if not path.exists() and re.fullmatch(r"[\w.-]+/[\w.-]+", output):
        return fetch(output)
    return Dataset(dataset_folder(path))


def fetch(name: str) -> Dataset:
    """Fetch a dataset from the Hub to a folder below `DOWNLOADS`, which a second run finds again."""
    from pipeline.publish.hub import download
    from pipeline.validate.published import import_published

    root = Path(DOWNLOADS, name.replace("/", "--"))
    print(f"{name}: from the Hub to {root}")
    download(name, root / "hub")
    return import_published(root / "hub", root)


def open_inputs(
    dataset: Dataset,
    settings: Settings,
    *,
    model: str | None = None,
    held_out: str | Path | None = None,
    tokenizer: str | None = None,
) -> Inputs:
    """Open codec, corpus and model, as far as they are needed and there."""
    from pipeline.pretrained.identity import identity
    from pipeline.validate.session import Inputs

    wanted = settings.validation.sample or settings.validation.exact or model
    codec = open_fp32(settings.codec, dataset) if wanted else None
    recordings, notes = None, []
    if codec is not None:
        try:
            recordings = open_recordings(dataset, settings, codec)
        except UsageError as error:
            notes.append(
                f"The recordings were not compared: {error}. Give their folder with --audio and the "
                "transcripts with --text."
            )
    return Inputs(
        codec=codec,
        alone=None if codec is None else reference(codec),
        recordings=recordings,
        fits=None if tokenizer is None else fits(tokenizer, dataset, settings),
        speak=None if model is None or codec is None else speaker(model, codec),
        model="" if model is None else identity(model),
        held_out=frozenset() if held_out is None else read_ids(Path(held_out)),
        notes=tuple(notes),
    )


def open_fp32(codec: CodecSettings, dataset: Dataset) -> Codec:
    """Open the dataset's codec in float32. Raises UsageError if other weights made the codes."""
    from pipeline.codec import load_codec

    opened = load_codec(codec.model_copy(update={"bf16": False, "compile": False}))
    made_with = {state.codec["fingerprint"] for state in dataset.states()}
    if made_with and made_with != {opened.fingerprint}:
        raise UsageError(
            f"the codes in {dataset.root} were made with other weights than {codec.name} has "
            f"({min(made_with)[:12]} then, {opened.fingerprint[:12]} now): name them with --codec"
        )
    return opened


def reference(codec: Codec) -> Encode:
    """Return a function that encodes one clip alone, in fp32, by the unmodified model if there is one."""
    import torch

    from pipeline.codec.agreement import encode_alone

    return lambda waveform: encode_alone(codec, torch.from_numpy(waveform))


def open_recordings(dataset: Dataset, settings: Settings, codec: Codec) -> Recordings:
    """Open the corpus's audio. Raises UsageError if it is not where it was."""
    from pipeline.audio.source import FolderSource
    from pipeline.corpus import open_corpus
    from pipeline.validate.listening.sample import Recordings
    from pipeline.validate.published import RECORDINGS

    embedded = dataset.root / RECORDINGS
    return Recordings(
        FolderSource(embedded) if embedded.is_dir() else open_corpus(settings.corpus).source,
        codec.sample_rate,
        settings.limits.max_seconds,
        settings.load.decode_timeout,
    )


def speaker(model: str, codec: Codec) -> Speak:
    """Return a LLASA model as a function from texts to speech."""
    from pipeline.llasa.loading import ModelSettings
    from pipeline.llasa.sampling import Sampling
    from pipeline.llasa.speaking import open_speaker
    from pipeline.validate.listening.speaking import Said

    opened = open_speaker(ModelSettings(name=model), codec)

    def speak(texts: Sequence[str]) -> list[Said]:
        spoken = opened.speak(texts, sampling=Sampling(seed=0))
        return [Said(one.waveform, one.codes, one.ended) for one in spoken]

    return speak


def fits(tokenizer: str, dataset: Dataset, settings: Settings) -> Fits:
    """Return a function that tells which texts fit the training length with their codes and prompt."""
    import numpy as np

    from pipeline.llasa_format.prompt import read_prompt_format
    from pipeline.llasa_format.tokenizer import load_tokenizer

    size = max((int(state.codec["codebook_size"]) for state in dataset.states()), default=0)
    prompts = read_prompt_format(load_tokenizer(tokenizer), size, tokenizer)
    limit = settings.validation.max_length

    def fit(texts: pa.Array, counts: np.ndarray) -> np.ndarray:
        given = texts.to_pylist()
        lots = [given[first : first + TOKENIZED_AT_ONCE] for first in range(0, len(given), TOKENIZED_AT_ONCE)]
        lengths = np.concatenate([[], *(prompts.encode(lot)[1].lengths for lot in lots)])
        room: np.ndarray = lengths + counts + prompts.overhead <= limit
        return room

    return fit


def read_ids(path: Path) -> frozenset[str]:
    """Read the ids of a text file, one a line. Raises UsageError if it cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"cannot read --held-out {path}: {error.strerror}") from error
    return frozenset(line.strip() for line in lines if line.strip())
