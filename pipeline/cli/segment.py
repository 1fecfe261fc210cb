"""Find, cut and transcribe the speech of long recordings, for create to read; the same command resumes it."""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import Any

from pipeline.cli.output import program_name
from pipeline.cli.sharing import add_sharing, shared

FLAGS: dict[str, tuple[str, dict[str, Any]]] = {  # flag: key of SegmentSettings, argparse options
    "--asr": ("asr", {"metavar": "NAME_OR_PATH"}),
    "--agree": ("agree", {"metavar": "MODEL2"}),
    "--language": ("language", {"metavar": "LANGUAGE"}),
    "--min": ("min_seconds", {"type": float, "metavar": "S"}),
    "--max": ("max_seconds", {"type": float, "metavar": "S"}),
    "--pause": ("pause", {"type": float, "metavar": "S"}),
    "--margin": ("margin", {"type": float, "metavar": "S"}),
    "--min-confidence": ("min_confidence", {"type": float, "metavar": "P"}),
    "--max-disagreement": ("max_disagreement", {"type": float, "metavar": "RATE"}),
    "--align": ("align", {"metavar": "TEXT"}),
    "--aligner": ("aligner", {"metavar": "MODEL"}),
    "--max-misreading": ("max_misreading", {"type": float, "metavar": "RATE"}),
    "--speakers": ("speakers", {"action": "store_true"}),
    "--cut": ("cut", {"action": "store_true"}),
    "--bf16": ("bf16", {"action": "store_true"}),
    "--part-size": ("recordings_per_part", {"type": int, "metavar": "N"}),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add recordings, output, recognisers and where to cut."""
    from pipeline.segment.settings import SegmentSettings

    parser.add_argument("recordings", metavar="RECORDINGS", help="folder of recordings, also s3://…")
    parser.add_argument("-o", "--output", required=True, metavar="PREPARED", help="folder for the segments")
    parser.add_argument("--ext", metavar=".EXT", help="take only recordings with this ending, such as .wav")
    parser.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda or cuda:N [auto]")
    parser.add_argument(
        "--num-workers", type=int, default=2, metavar="N", help="processes that decode recordings [2]"
    )
    add_sharing(parser)
    for flag, (key, options) in FLAGS.items():
        field = SegmentSettings.model_fields[key]
        shown = f" [{field.default}]" if field.default not in (None, False) else ""
        help_text = f"{field.description}{shown}".replace("%", "%%")
        parser.add_argument(flag, dest=key, default=None, help=help_text, **options)


def run(arguments: argparse.Namespace) -> int:
    """Segment the recordings and say what came of them."""
    from pathlib import Path

    from pydantic import ValidationError

    from pipeline.errors import UsageError
    from pipeline.segment.settings import SegmentSettings

    given = {key: value for key, _ in FLAGS.values() if (value := getattr(arguments, key)) is not None}
    try:
        settings = SegmentSettings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        flag = next((flag for flag, (key, _) in FLAGS.items() if key in first["loc"]), "settings")
        raise UsageError(f"{flag}: {first['msg']}") from error
    if arguments.num_workers < 1:
        raise UsageError("--num-workers: at least one recording is read at a time")

    from pipeline.segment.run import segment_recordings, summary
    from pipeline.storage.paths import is_remote, resolve_path

    started = time.monotonic()
    recordings, output = (
        str(path if is_remote(path) else path.absolute())  # workers have another working folder
        for path in map(resolve_path, (arguments.recordings, arguments.output))
    )
    segment = partial(
        segment_recordings,
        recordings,
        output,
        settings,
        ext=arguments.ext,
        device=arguments.device,
        processes=arguments.num_workers,
    )
    totals = shared(segment, arguments)
    for line in summary(totals, Path(arguments.output)):
        print(line)
    print(f"time: {time.monotonic() - started:.1f} s")
    if not totals["parts_left"]:
        print(f"next: {program_name()} create {arguments.recordings} {arguments.output} -o OUT")
    return 0
