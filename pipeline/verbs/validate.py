"""Would a LLASA trained on this dataset speak well? A verdict, figures, a page to listen to: OUT/report.

Exit status 0 when every check passes, 4 when one fails.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import config
from pipeline.config import CodecSettings, Settings
from pipeline.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from pipeline.codec.protocol import Codec
    from pipeline.shards import Dataset
    from pipeline.validate.exact import Encode
    from pipeline.validate.sample import Recordings
    from pipeline.validate.scan import Fits
    from pipeline.validate.session import Outcome, Parts
    from pipeline.validate.speaking import Said, Speak

FAILED = 4
DOWNLOADS = "validated"  # folder here for datasets of the Hub, and their reports
TOKENIZED_AT_ONCE = 1000  # texts
FLAGS: dict[str, tuple[str, dict[str, Any]]] = {  # flag: configuration key, argparse options
    "--sample": ("validation.sample", {"type": int, "metavar": "N"}),
    "--exact": ("validation.exact", {"type": int, "metavar": "N"}),
    "--speak": ("validation.speak", {"type": int, "metavar": "N"}),
    "--seed": ("validation.seed", {"type": int, "metavar": "N"}),
    "--asr": ("validation.asr", {"metavar": "NAME_OR_PATH"}),
    "--codec": ("codec.name", {"metavar": "NAME_OR_PATH"}),
    "--device": ("codec.device", {}),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """OUT, what to look at and how closely."""
    parser.add_argument("output", metavar="OUT", help="folder of a dataset, its name.jsonl, or USER/NAME")
    parser.add_argument("--config", metavar="FILE", help="thresholds [those the dataset was made with]")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any key, as validation.min_stoi=0.9"
    )
    parser.add_argument("--audio", metavar="DIR", help="the recordings, where they are not any more")
    parser.add_argument("--text", metavar="FILE", help="their transcripts, likewise")
    parser.add_argument("--model", metavar="NAME_OR_PATH", help="a LLASA model that is to say some texts")
    parser.add_argument("--held-out", metavar="FILE", help="ids of texts for --model, one a line")
    parser.add_argument(
        "--tokenizer", metavar="NAME_OR_PATH", help="count training lengths exactly [a bound is used]"
    )
    for flag, (key, options) in FLAGS.items():
        description = str(dict(config.all_keys())[key].description).replace("%", "%%")
        parser.add_argument(flag, dest=key, default=None, help=description, **options)


def run(arguments: argparse.Namespace) -> int:
    """Validate, print the verdict, and return 0 or 4."""
    from pipeline.publish.card import write_card
    from pipeline.stats import totals
    from pipeline.validate.report import write_report
    from pipeline.validate.session import validate

    dataset = open_dataset(arguments.output)
    settings = settings_of(arguments, dataset)
    parts = gather(arguments, dataset, settings)
    outcome = validate(dataset, settings.validation, parts, print)
    page = write_report(dataset, outcome, parts)
    write_card(dataset, totals(dataset.states()))  # it shows the verdict and the agreement
    _tell(outcome)
    print(f"report: {page}")
    return 0 if outcome.metrics["verdict"] == "pass" else FAILED


def open_dataset(output: str) -> Dataset:
    """The dataset that OUT names. UsageError when there is none."""
    from pipeline.shards import Dataset
    from pipeline.single_file import parts_folder

    path = Path(output)
    if not path.exists() and re.fullmatch(r"[\w.-]+/[\w.-]+", output):
        return fetch(output)
    return Dataset(parts_folder(path) if path.suffix == ".jsonl" else path)


def fetch(name: str) -> Dataset:
    """A dataset on the Hub, as a folder below `DOWNLOADS` here, which a second run finds again."""
    from pipeline.publish.hub import download
    from pipeline.validate.published import adopt

    root = Path(DOWNLOADS, name.replace("/", "--"))
    print(f"{name}: from the Hub to {root}")
    download(name, root / "hub")
    return adopt(root / "hub", root)


def settings_of(arguments: argparse.Namespace, dataset: Dataset) -> Settings:
    """What the dataset was made with, its thresholds from --config where given, then the command line."""
    settings = Settings.model_validate(dataset.settings)
    if arguments.config is not None:
        settings = settings.model_copy(update={"validation": config.load(arguments.config).validation})
    values = {key: given for key, _ in FLAGS.values() if (given := getattr(arguments, key)) is not None}
    if arguments.audio is not None:
        values |= {"corpus.audio": arguments.audio}
    if arguments.text is not None:
        values |= {"corpus.text": arguments.text}
    for assignment in arguments.set:
        key, separator, value = assignment.partition("=")
        if not separator or key not in dict(config.all_keys()):
            known = ", ".join(name for name, _ in config.all_keys() if name.startswith("validation."))
            raise UsageError(f"--set {assignment}: expected KEY=VALUE; the keys are {known}")
        values[key] = None if value == "null" else value
    return settings.with_values(values)


def gather(arguments: argparse.Namespace, dataset: Dataset, settings: Settings) -> Parts:
    """Open codec, corpus and model, as far as they are needed and there."""
    from pipeline.validate.session import Parts

    wanted = settings.validation.sample or settings.validation.exact or arguments.model
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
    return Parts(
        codec=codec,
        alone=None if codec is None else reference(codec),
        recordings=recordings,
        fits=None if arguments.tokenizer is None else fits(arguments.tokenizer, settings),
        speak=None if arguments.model is None or codec is None else speaker(arguments.model, codec),
        model=arguments.model or "",
        held_out=frozenset() if arguments.held_out is None else read_ids(arguments.held_out),
        notes=tuple(notes),
    )


def open_fp32(codec: CodecSettings, dataset: Dataset) -> Codec:
    """The dataset's codec in float32. UsageError when its weights are not those that made the codes."""
    from pipeline.codec.protocol import open_codec

    opened = open_codec(codec.model_copy(update={"bf16": False, "compile": False}))
    made_with = {state.codec["fingerprint"] for state in dataset.states()}
    if made_with and made_with != {opened.fingerprint}:
        raise UsageError(
            f"the codes in {dataset.root} were made with other weights than {codec.name} has "
            f"({min(made_with)[:12]} then, {opened.fingerprint[:12]} now): name them with --codec"
        )
    return opened


def reference(codec: Codec) -> Encode:
    """What encodes one clip alone, in fp32, by the unmodified model where there is one."""
    import torch

    from pipeline.codec.agreement import encode_alone

    return lambda waveform: encode_alone(codec, torch.from_numpy(waveform))


def open_recordings(dataset: Dataset, settings: Settings, codec: Codec) -> Recordings:
    """The corpus's audio. UsageError when it is not where it was."""
    from pipeline.corpus import open_corpus
    from pipeline.source import FolderSource
    from pipeline.validate.published import RECORDINGS
    from pipeline.validate.sample import Recordings

    embedded = dataset.root / RECORDINGS
    return Recordings(
        FolderSource(embedded) if embedded.is_dir() else open_corpus(settings.corpus).source,
        codec.sample_rate,
        settings.limits.max_seconds,
        settings.load.decode_timeout,
    )


def speaker(model: str, codec: Codec) -> Speak:
    """A LLASA model as a function from texts to speech."""
    from pipeline.llasa.loading import ModelSettings
    from pipeline.llasa.sampling import Sampling
    from pipeline.llasa.speaking import open_speaker
    from pipeline.validate.speaking import Said

    opened = open_speaker(ModelSettings(name=model), codec)

    def speak(texts: Sequence[str]) -> list[Said]:
        spoken = opened.speak(texts, sampling=Sampling(seed=0))
        return [Said(one.waveform, one.codes, one.ended) for one in spoken]

    return speak


def fits(tokenizer: str, settings: Settings) -> Fits:
    """Whether texts with their codes fit the training length, by a tokenizer and its chat template."""
    import numpy as np
    from transformers import AutoTokenizer

    from pipeline.prompt import DATE, INSTRUCTION, neutralise

    try:
        counter = AutoTokenizer.from_pretrained(tokenizer)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the tokenizer {tokenizer} cannot be loaded: {str(error).splitlines()[0]}"
        ) from error
    conversation = [{"role": "user", "content": INSTRUCTION}, {"role": "assistant", "content": ""}]
    around = 4  # the markers
    if counter.chat_template:
        prompt = counter.apply_chat_template(conversation, tokenize=False, date_string=DATE)
        around += len(counter(prompt, add_special_tokens=False)["input_ids"])
    limit = settings.validation.max_length

    def fit(texts: pa.Array, counts: np.ndarray) -> np.ndarray:
        given = [neutralise(text) for text in texts.to_pylist()]
        lengths: list[int] = []
        for first in range(0, len(given), TOKENIZED_AT_ONCE):
            found = counter(given[first : first + TOKENIZED_AT_ONCE], add_special_tokens=False)["input_ids"]
            lengths += [len(ids) for ids in found]
        room: np.ndarray = np.array(lengths) + counts + around <= limit
        return room

    return fit


def read_ids(path: str) -> frozenset[str]:
    """Ids of a text file, one a line. UsageError when it cannot be read."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"cannot read --held-out {path}: {error.strerror}") from error
    return frozenset(line.strip() for line in lines if line.strip())


def _tell(outcome: Outcome) -> None:
    for check in outcome.checks:
        value = "not measured" if check.value is None else f"{check.value:.4g}"
        sign = "at most" if check.at_most else "at least"
        print(f"  {check.outcome:7}  {check.title}: {value} ({sign} {check.limit:g})")
    for one in outcome.metrics["missing"]:
        print(f"  without {one['package']}: no {one['purpose']}; {one['install']}")
    for note in outcome.metrics["notes"]:
        print(f"  {note}")
    suspects = len(outcome.suspects)
    print(f"verdict: {outcome.metrics['verdict']}; {suspects:,} suspect rows in report/suspects.jsonl")
