"""Turn recordings and transcripts into a dataset of text and codes; the same command resumes it."""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path
from typing import Any

from pipeline import config
from pipeline.config import Settings
from pipeline.errors import UsageError
from pipeline.runtime import REPOSITORY

DEFAULT_CONFIG = REPOSITORY / "configs" / "sample.yaml"
FLAGS: dict[str, tuple[str, dict[str, Any]]] = {  # flag: configuration key, argparse options
    "--codec": ("codec.name", {"metavar": "NAME_OR_PATH"}),
    "--codec-impl": ("codec.impl", {"choices": ["auto", "native", "original", "neucodec"]}),
    "--bf16": ("codec.bf16", {"action": argparse.BooleanOptionalAction}),
    "--compile": ("codec.compile", {"action": argparse.BooleanOptionalAction}),
    "--device": ("codec.device", {"metavar": "DEVICE"}),
    "--format": ("output.format", {"choices": ["jsonl", "arrow", "parquet"]}),
    "--shard-size": ("output.shard_size", {"type": int, "metavar": "N"}),
    "--transcripts": ("corpus.transcripts", {"metavar": "FORM"}),
    "--split_word": ("corpus.split_word", {"metavar": "SEPARATOR"}),
    "--file_index": ("corpus.file_index", {"type": int, "metavar": "N"}),
    "--text_index": ("corpus.text_index", {"type": int, "metavar": "N"}),
    "--ext": ("corpus.ext", {"metavar": ".EXT"}),
    "--language": ("corpus.language", {"metavar": "LANGUAGE"}),
    "--exclude": ("corpus.exclude", {"metavar": "FILE"}),
    "--max-samples": ("corpus.max_samples", {"type": int, "metavar": "N"}),
    "--max-reject-rate": ("limits.max_reject_rate", {"type": float, "metavar": "SHARE"}),
    "--batch-seconds": ("load.batch_seconds", {"type": float, "metavar": "S"}),
    "--num-workers": ("load.num_workers", {"type": int, "metavar": "N"}),
    "--engine": ("run.engine", {"choices": ["local", "ray"]}),
    "--ray-address": ("run.ray_address", {"metavar": "ADDRESS"}),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `create_dataset.py`."""
    add_run_arguments(parser)
    parser.add_argument(
        "--retry-rejected", action="store_true", help="try clips again that were rejected before"
    )
    parser.add_argument(
        "--num-parts", type=int, metavar="N", help="share the shards out to N processes, each with its --part"
    )
    parser.add_argument(
        "--part",
        type=int,
        metavar="K",
        help="which part this process makes, from 0; Slurm's and torchrun's variables say so by themselves",
    )
    parser.add_argument("--push-to-hub", metavar="REPO", help="publish the finished dataset as USER/NAME")


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `create` and `plan` share: corpus, output and settings."""
    parser.add_argument("audio", nargs="?", metavar="AUDIO_DIR", help=described("corpus.audio"))
    parser.add_argument("text", nargs="?", metavar="TEXT_FILE", help=described("corpus.text"))
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="folder for the dataset, or a name.jsonl for one file",
    )
    parser.add_argument("--config", metavar="FILE", help=f"settings in YAML [{DEFAULT_CONFIG.name}]")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any key, as codec.revision=v1"
    )
    for flag, (key, options) in FLAGS.items():
        parser.add_argument(flag, dest=key, default=None, help=described(key), **options)


def described(key: str) -> str:
    """Return a key's description, for help texts."""
    return str(dict(config.all_keys())[key].description).replace("%", "%%")


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Merge the configuration file with the command line. Raises UsageError that names what is wrong."""
    values = {
        key: getattr(arguments, key) for key, _ in FLAGS.values() if getattr(arguments, key) is not None
    }
    if arguments.audio is not None:
        values |= {"corpus.audio": arguments.audio, "corpus.text": arguments.text}
    values |= config.assigned(arguments.set)
    settings = config.load(arguments.config or DEFAULT_CONFIG).with_values(values)
    if settings.corpus.audio is None:
        raise UsageError("no corpus: give AUDIO_DIR and TEXT_FILE, or corpus.audio in the configuration")
    return settings


def run(arguments: argparse.Namespace) -> int:
    """Make the dataset, or go on making it."""
    from pipeline.build.create import create
    from pipeline.build.ranks import beside_others, create_rank, rank_of
    from pipeline.dataset.single_file import join, parts_folder
    from pipeline.storage.claims import claimed
    from pipeline.storage.paths import resolve_path

    settings = settings_of(arguments)
    output = resolve_path(arguments.output)
    single = output.suffix == ".jsonl"
    root = parts_folder(output) if single else output
    retry = arguments.retry_rejected
    finish = partial(join, root, output) if single else nothing
    part = rank_of(arguments.part, arguments.num_parts, os.environ)
    if part is None:
        with claimed(root):
            stats = create(root, settings, print, retry_rejected=retry)
            finish()
    else:
        settings = beside_others(settings, os.environ)
        made = create_rank(root, settings, part, print, retry_rejected=retry, finish=finish)
        if made is None:
            return 0
        stats = made
    report(stats, output, root)
    if arguments.push_to_hub:
        from pipeline.dataset.reader import Dataset
        from pipeline.publish.push import push

        print(f"published: {push(Dataset(root), arguments.push_to_hub, say=print)}")
    return 0


def nothing() -> None:
    """Do nothing: shards are all that was asked for."""


def report(stats: dict[str, Any], output: Path, root: Path) -> None:
    """Print the summary at the end of a run."""
    print(f"{output}: {stats['rows']:,} rows, {stats['hours']:.2f} hours, {stats['codes']:,} codes")
    if stats["rejected"]:
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in stats["reasons"].items())
        print(f"rejected: {stats['rejected']:,} ({reasons}); each with its reason in {root / 'rejected'}")
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in stats["stage_seconds"].items())
    if stages:
        print(f"time: {stages}; {stats['times_real_time']:g}× real time")
    print(f"next, a verdict before training: python -m pipeline validate {root}")
