"""The settings: every key with its type, default, limits, unit and meaning, checked by pydantic.

`configs/*.yaml` shows them in use. Keys marked `RESULTS` change the bytes of the dataset and make up its
fingerprint: an output folder accepts only runs with the same one.
"""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import UsageError

SAMPLE_CODEC = "data/sample/codec"  # the default, below the repository
RESULTS: dict[str, Any] = {"results": True}  # json_schema_extra of a key that changes the output


class Section(BaseModel):
    """A group of keys; unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class CorpusSettings(Section):
    """Where the recordings and their transcripts are, and how to read them."""

    audio: str | None = Field(
        None, description="folder of audio files, also s3://…, or a Hugging Face dataset (folder or id)"
    )
    text: str | None = Field(None, description="transcript file or folder; none for sidecars and datasets")
    transcripts: str = Field(
        "auto",
        description="form of the transcripts, such as columns, ljspeech, kaldi, csv, jsonl, sidecar, tree; "
        "auto recognises it",
    )
    split_word: str = Field(
        ":", description="separator of a columns file; a text keeps later ones", min_length=1
    )
    file_index: int = Field(0, description="column of the file's id, from 0", ge=0)
    text_index: int = Field(1, description="column of the text, from 0", ge=0)
    ext: str | None = Field(None, description="take only audio files with this ending, such as .wav")
    audio_column: str | None = Field(None, description="header or key of the audio, where not a usual one")
    text_column: str | None = Field(None, description="header or key of the text, where not a usual one")
    id_column: str | None = Field(None, description="header or key of the id")
    speaker_column: str | None = Field(None, description="header or key of the speaker")
    language_column: str | None = Field(None, description="header or key of the language")
    language: str | None = Field(None, description="language of every utterance that names none, such as en")
    hf_split: str = Field("train", description="split to read of a Hugging Face dataset")
    encoding: str | None = Field(
        None, description="of transcripts that are not UTF-8 or UTF-16 and not recognised, such as cp1252"
    )
    allow_remote: bool = Field(
        False, description="read audio by paths out of the corpus and by URLs that stand in transcripts"
    )
    licence: str = Field("unknown", description="licence of the corpus, for the dataset card")
    max_samples: int | None = Field(None, description="take only the first N utterances", ge=1)
    cache: str | None = Field(
        None, description="folder for copies of audio from an object store; none: in the temporary folder"
    )
    cache_gb: float = Field(20.0, description="most GB of such copies on each machine", gt=0)
    exclude: str | None = Field(None, description="JSONL of ids to leave out: rows with an `id`")


class LimitSettings(Section):
    """What is rejected while planning."""

    min_seconds: float = Field(0.1, description="shortest clip, seconds", ge=0, json_schema_extra=RESULTS)
    max_seconds: float = Field(40.0, description="longest clip, seconds", gt=0, json_schema_extra=RESULTS)
    min_chars: int = Field(1, description="shortest text, characters", ge=1, json_schema_extra=RESULTS)
    max_chars: int = Field(1000, description="longest text, characters", ge=1, json_schema_extra=RESULTS)
    max_reject_rate: float = Field(
        1.0, description="share of rejected utterances above which the exit status is 3", ge=0, le=1
    )


class CodecSettings(Section):
    """Which codec makes the codes, and where it runs."""

    name: str = Field(
        SAMPLE_CODEC,
        description="Hugging Face id, or folder with weights",
        json_schema_extra=RESULTS,
    )
    impl: Literal["auto", "native", "original", "neucodec"] = Field(
        "auto",
        description="implementation; auto takes the one the checkpoint is for",
        json_schema_extra=RESULTS,
    )
    revision: str | None = Field(None, description="branch, tag or commit of a Hugging Face id")
    licence: str | None = Field(None, description="licence of the weights, where the checkpoint names none")
    bf16: bool = Field(
        False,
        description="bf16 on CUDA (else fp16) and on a CPU that has it (else float32)",
        json_schema_extra=RESULTS,
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    compile: bool | None = Field(
        None, description="torch.compile the encoder on CUDA; none: from some 55 hours of audio on"
    )


class LoadSettings(Section):
    """How audio is read and batched."""

    num_workers: int | None = Field(
        None, description="decoding processes; 0 decodes in this one; none: by the cores", ge=0
    )
    batch_seconds: float = Field(240.0, description="padded seconds of audio a batch", gt=0)
    decode_timeout: float = Field(60.0, description="seconds one file may take to decode", gt=0)
    prefetch: int = Field(4, description="batches each worker holds ready", ge=1)


class OutputSettings(Section):
    """What is written."""

    format: Literal["jsonl", "arrow", "parquet"] = Field(
        "jsonl", description="format of the shards", json_schema_extra=RESULTS
    )
    shard_size: int = Field(1000, description="manifest rows a shard", ge=1, json_schema_extra=RESULTS)
    split: str = Field("train", description="name of the split", pattern=r"^\w+$", json_schema_extra=RESULTS)


class ValidationSettings(Section):
    """What validation looks at, and the thresholds that a dataset must meet; shares are fractions of 1."""

    sample: int = Field(64, description="random rows to decode and compare with their source", ge=0)
    exact: int = Field(16, description="random rows to encode again, alone, in fp32", ge=0)
    speak: int = Field(16, description="texts that --model speaks", ge=0)
    seed: int = Field(0, description="of the random choices", ge=0)
    asr: str | None = Field(
        "build/models/tiny.en.pt", description="speech recogniser: Hugging Face id, folder, or Whisper .pt"
    )
    asr_language: str | None = Field(
        None, description="transcribe only rows of this language; none: English for an English-only model"
    )
    max_length: int = Field(2048, description="tokens that training allows a row", ge=1)
    keep_suspects: int = Field(10_000, description="rows that the list of suspects names, per reason", ge=1)
    rate_outlier: float = Field(3.5, description="robust z of the speech rate that is suspect", gt=0)
    max_run: int = Field(50, description="codes one value may go on for; 50 are a second", ge=1)
    max_tail: int = Field(35, description="codes one value may go on for at a clip's end", ge=1)
    max_loop: int = Field(75, description="codes a short loop may go on for", ge=1)
    max_broken: float = Field(0.0, description="share of rows that break a rule of the format", ge=0, le=1)
    max_duplicates: float = Field(
        0.01, description="share of rows with codes like an earlier row's", ge=0, le=1
    )
    max_too_long: float = Field(0.01, description="share of rows that training has no room for", ge=0, le=1)
    max_stuck: float = Field(
        0.01, description="share of rows with long runs, loops or stuck tails", ge=0, le=1
    )
    min_codebook: float = Field(
        0.3, description="used entries, share of what such a corpus can reach", ge=0, le=1
    )
    min_entropy: float = Field(0.6, description="entropy of the codes, share of the possible", ge=0, le=1)
    max_rate_outliers: float = Field(
        0.05, description="share of rows with a speech rate that is suspect", ge=0, le=1
    )
    min_length_correlation: float = Field(
        0.5, description="rank correlation of text length and duration within a language", ge=-1, le=1
    )
    max_mismatched: float = Field(
        0.1, description="share of sampled rows in which other words are heard than the text has", ge=0, le=1
    )
    max_bad_audio: float = Field(
        0.1, description="share of sampled rows that are clipped, nearly silent, or offset", ge=0, le=1
    )
    min_agreement: float = Field(0.99, description="share of codes equal to encoding alone, fp32", ge=0, le=1)
    min_agreement_half: float = Field(0.9, description="the same for codes made in bf16 or fp16", ge=0, le=1)
    min_matched: float = Field(
        0.8, description="share of sampled rows whose codes sound like their own source", ge=0, le=1
    )
    min_stoi: float = Field(0.85, description="intelligibility (STOI) of decoded against source", ge=0, le=1)
    max_word_error_rise: float = Field(
        0.05, description="word or character errors, decoded minus source", ge=0
    )
    max_mos_drop: float = Field(0.5, description="Distill-MOS, source minus decoded; of 1 to 5", ge=0)
    max_spoken_error_rise: float = Field(0.2, description="word errors, spoken minus decoded", ge=0)
    min_ended: float = Field(0.9, description="share of spoken texts that end by themselves", ge=0, le=1)


class RunSettings(Section):
    """Where shards are made."""

    engine: Literal["local", "ray"] = Field("local", description="local: this process; ray: a Ray cluster")
    ray_address: str | None = Field(
        None, description="the Ray cluster, such as auto or 10.0.0.1:6379; none starts one on this machine"
    )
    ray_workers: int | None = Field(
        None, description="most Ray workers at a time; none: as many as the cluster has room for", ge=1
    )
    ray_patience: float = Field(
        600.0, description="seconds without a single Ray worker after which a run ends, to be resumed", gt=0
    )
    worker_cpus: int = Field(
        4, description="cores that a Ray worker takes: itself and its decoding processes", ge=1
    )
    annotate: str = Field(
        "", description="measure every row as well: names of annotators, such as level,quality"
    )


class Settings(Section):
    """All settings of a run."""

    corpus: CorpusSettings = CorpusSettings()
    limits: LimitSettings = LimitSettings()
    codec: CodecSettings = CodecSettings()
    load: LoadSettings = LoadSettings()
    output: OutputSettings = OutputSettings()
    run: RunSettings = RunSettings()
    validation: ValidationSettings = ValidationSettings()

    def fingerprint(self) -> str:
        """Return 16 hex digits over the keys that change results."""
        chosen = {key: value for key, value in flatten(self).items() if changes_results(key)}
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:16]

    def with_values(self, values: Mapping[str, Any]) -> Settings:
        """Return a copy with dotted keys (`codec.name`) replaced and checked."""
        nested = self.model_dump()
        for key, value in values.items():
            section, _, name = key.partition(".")
            nested.setdefault(section, {})[name] = value
        return validated(nested, "the command line")


def flatten(settings: Settings) -> dict[str, Any]:
    """Return all values by dotted key."""
    return {
        f"{section}.{name}": value
        for section, values in settings.model_dump().items()
        for name, value in values.items()
    }


def all_keys() -> Iterator[tuple[str, Any]]:
    """Return every dotted key with its pydantic field (description, default, type)."""
    for section, field in Settings.model_fields.items():
        for name, inner in field.annotation.model_fields.items():  # type: ignore[union-attr]
            yield f"{section}.{name}", inner


def changes_results(key: str) -> bool:
    """Return whether the dotted key is part of the fingerprint."""
    extra = dict(all_keys())[key].json_schema_extra
    return isinstance(extra, dict) and extra.get("results") is True


def validated(content: dict[Any, Any], where: str) -> Settings:
    """Return `content` as settings. Raises UsageError with what is wrong in it, after the name `where`."""
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{where}: {'; '.join(_sentence(e) for e in error.errors())}") from error


def _sentence(error: Any) -> str:
    path = [str(part) for part in error["loc"]]
    key = ".".join(path)
    if error["type"] == "extra_forbidden":
        valid = Settings.model_fields
        for part in path[:-1]:
            valid = valid[part].annotation.model_fields  # type: ignore[union-attr]
        return f"unknown key {key}; valid here: {', '.join(valid)}"
    return f"{key} = {_SHORT.repr(error['input'])}: {error['msg'][0].lower()}{error['msg'][1:]}"


_SHORT = reprlib.Repr()  # a value may be a megabyte
_SHORT.maxstring = _SHORT.maxother = 120
