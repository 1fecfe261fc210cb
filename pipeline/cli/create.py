"""Turn recordings and transcripts into a dataset of text and codes; the same command resumes it.

python create_dataset.py -o out/                                           the sample corpus, offline
python create_dataset.py clips/ metadata.csv -o out/ --config configs/xcodec2.yaml
python create_dataset.py clips/ metadata.csv -o data.jsonl --bf16          one file of text and codes
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from pipeline import config
from pipeline.cli.options import Flags, add_flags, described, given_settings
from pipeline.cli.output import add_json, printing_json, program_name
from pipeline.cli.sharing import add_parts
from pipeline.config import Settings

if TYPE_CHECKING:
    from pipeline.dataset.reader import Dataset

CORPUS: Flags = {
    "--transcripts": ("corpus.transcripts", {"metavar": "FORM"}),
    "--split_word": ("corpus.split_word", {"metavar": "SEPARATOR"}),
    "--file_index": ("corpus.file_index", {"type": int, "metavar": "N"}),
    "--text_index": ("corpus.text_index", {"type": int, "metavar": "N"}),
    "--ext": ("corpus.ext", {"metavar": ".EXT"}),
    "--language": ("corpus.language", {"metavar": "LANGUAGE"}),
    "--exclude": ("corpus.exclude", {"metavar": "FILE"}),
    "--max-samples": ("corpus.max_samples", {"type": int, "metavar": "N"}),
    "--max-reject-rate": ("limits.max_reject_rate", {"type": float, "metavar": "SHARE"}),
}
CODEC: Flags = {
    "--codec": ("codec.name", {"metavar": "NAME_OR_PATH"}),
    "--codec-impl": ("codec.impl", {"choices": ["auto", "native", "original", "neucodec"]}),
    "--bf16": ("codec.bf16", {"action": argparse.BooleanOptionalAction}),
    "--compile": ("codec.compile", {"action": argparse.BooleanOptionalAction}),
    "--device": ("codec.device", {"metavar": "DEVICE"}),
    "--batch-seconds": ("load.batch_seconds", {"type": float, "metavar": "S"}),
    "--num-workers": ("load.num_workers", {"type": int, "metavar": "N"}),
}
OUTPUT: Flags = {
    "--format": ("output.format", {"choices": ["jsonl", "arrow", "parquet"]}),
    "--shard-size": ("output.shard_size", {"type": int, "metavar": "N"}),
}
MEASURING: Flags = {"--annotate": ("run.annotate", {"metavar": "NAME,…"})}
ENGINE: Flags = {
    "--engine": ("run.engine", {"choices": ["local", "ray"]}),
    "--ray-address": ("run.ray_address", {"metavar": "ADDRESS"}),
}
GROUPS = {
    "recordings and transcripts": CORPUS,
    "codec and speed": CODEC,
    "output": OUTPUT,
    "measuring": MEASURING,
    "several processes and machines": ENGINE,
}
FIGURES = ("rows", "hours", "codes", "rejected", "reasons", "stage_seconds", "times_real_time")  # --json
FLAGS: Flags = {**CORPUS, **CODEC, **OUTPUT, **MEASURING, **ENGINE}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `create_dataset.py`."""
    parts = add_run_arguments(parser)["several processes and machines"]
    parser.add_argument(
        "--retry-rejected", action="store_true", help="try clips again that were rejected before"
    )
    parser.add_argument("--push-to-hub", metavar="REPO", help="publish the finished dataset as USER/NAME")
    add_json(parser)
    add_parts(parts)


def add_run_arguments(parser: argparse.ArgumentParser) -> dict[str, argparse._ArgumentGroup]:
    """Add what `create` and `plan` share: corpus, output and settings. Returns the groups by title."""
    parser.usage = "%(prog)s [AUDIO_DIR] [TEXT_FILE] -o OUT [options]"
    parser.add_argument("audio", nargs="?", metavar="AUDIO_DIR", help=described("corpus.audio"))
    parser.add_argument("text", nargs="?", metavar="TEXT_FILE", help=described("corpus.text"))
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="folder for the dataset, or a name.jsonl for one file",
    )
    parser.add_argument("--config", metavar="FILE", help="settings in YAML, such as configs/xcodec2.yaml")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any key, such as codec.revision=v1"
    )
    groups = {title: parser.add_argument_group(title) for title in GROUPS}
    for title, flags in GROUPS.items():
        add_flags(groups[title], flags)
    return groups


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Merge the configuration file with the command line. Raises UsageError that names what is wrong."""
    values = given_settings(arguments, FLAGS)
    return config.resolve(arguments.config, audio=arguments.audio, text=arguments.text, values=values)


def run(arguments: argparse.Namespace) -> int:
    """Make the dataset, or go on making it."""
    from pipeline.build.dataset import create_dataset
    from pipeline.build.ranks import create_rank, rank_of
    from pipeline.dataset.reader import Dataset
    from pipeline.dataset.single_file import dataset_folder
    from pipeline.errors import TooManyRejected
    from pipeline.storage.paths import resolve_path

    settings = settings_of(arguments)
    rank = rank_of(arguments.part, arguments.num_parts, os.environ)
    output, retry = arguments.output, arguments.retry_rejected
    with printing_json(arguments.json) as emit:
        dataset: Dataset | None
        try:
            if rank is None:
                dataset = create_dataset(output=output, config=settings, retry_rejected=retry, say=print)
            else:
                dataset = create_rank(output, settings, rank, print, retry_rejected=retry)
        except TooManyRejected:
            if arguments.json:
                emit(_summary(output, Dataset(dataset_folder(resolve_path(output))), None))
            raise
        published = None
        if dataset is not None:
            report(dataset, output)
            if arguments.push_to_hub:
                from pipeline.publish.push import push_dataset

                published = push_dataset(dataset, arguments.push_to_hub, say=print)
                print(f"published: {published}")
        if arguments.json:
            emit(_summary(output, dataset, published))
    return 0


def _summary(output: str, dataset: Dataset | None, published: str | None) -> dict[str, Any]:
    if dataset is None:
        return {"output": output, "complete": False}
    figures = {name: dataset.stats()[name] for name in FIGURES}
    return {
        "output": output,
        "complete": True,
        "dataset": str(dataset.root),
        **figures,
        "published": published,
    }


def report(dataset: Dataset, output: str) -> None:
    """Print the summary at the end of a run."""
    from pipeline.dataset.stats import in_words, spoken_time
    from pipeline.progress import plural

    stats, root = dataset.stats(), dataset.root
    rows, codes = plural(stats["rows"], "row"), plural(stats["codes"], "code")
    print(f"{output}: {rows}, {spoken_time(stats['hours'])}, {codes}")
    if stats["rejected"]:
        reasons = in_words(stats["reasons"])
        print(f"rejected: {stats['rejected']:,} ({reasons}); each with its reason in {root / 'rejected'}")
    stages = ", ".join(f"{stage} {_rounded(seconds)} s" for stage, seconds in stats["stage_seconds"].items())
    if stages:
        print(f"time: {stages}; {stats['times_real_time']:g}× real time")
    if any(codec["name"] == config.SAMPLE_CODEC for codec in stats["codecs"]) and not _is_sample(dataset):
        print("codec: the sample's, which knows one voice; for training data: --config configs/xcodec2.yaml")
    print(f"next, a verdict before training: {program_name()} validate {root}")


def _rounded(seconds: float) -> str:
    return f"{seconds:,.1f}" if seconds >= 1 else f"{seconds:.2g}"


def _is_sample(dataset: Dataset) -> bool:
    return bool(dataset.settings["corpus"]["audio"] == config.load(config.SAMPLE).corpus.audio)
