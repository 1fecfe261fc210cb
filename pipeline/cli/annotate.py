"""Measure every row of a finished dataset, to choose by with `select`.

Figures go to OUT/annotations/NAME/, a row a row; a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
from functools import partial

from pipeline.cli.sharing import add_sharing, shared
from pipeline.config import ValidationSettings

EPILOG = """\
annotators:
  codes       entropy, runs and loops of the codes; needs no recordings
  duplicates  rows with the codes of an earlier one, all or most; needs no recordings
  language    which language each text is in; needs no recordings
  level       loudness, peak, clipping, cut ends, silence, bandwidth, noise of the recordings
  quality     how good they sound, by DNSMOS
  transcript  what a recogniser (--asr) hears, how sure it is, and its errors against the text
  speaker     whether the voice is that of the speaker's other rows
  copies      recordings that are an earlier one at another level or from another codec
  my.py       your own: see docs/quality.md

example:
  python -m pipeline annotate out/ --with codes,level,duplicates,language
  python -m pipeline annotate out/ --with quality --engine ray
"""

ASR = ValidationSettings.model_fields["asr"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the dataset and what to measure."""
    parser.epilog = EPILOG
    parser.add_argument("dataset", metavar="OUT", help="folder of a dataset")
    parser.add_argument(
        "--with", dest="annotators", required=True, metavar="NAME,…", help="what to measure; see below"
    )
    parser.add_argument("--audio", metavar="DIR", help="where the recordings are, if they were moved")
    parser.add_argument("--text", metavar="FILE", help="where the transcripts are, likewise")
    hears = f"{ASR.description} [{ASR.default}]"
    parser.add_argument("--asr", metavar="NAME_OR_PATH", help=f"of transcript: {hears}")
    parser.add_argument(
        "--language", metavar="LANGUAGE", help="of transcript: language of rows that name none"
    )
    parser.add_argument(
        "--device", default="auto", metavar="DEVICE", help="of transcript: auto, cpu, cuda or cuda:1 [auto]"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="recordings decoded at once [cores]")
    add_sharing(parser)


def run(arguments: argparse.Namespace) -> int:
    """Annotate and say what was made."""
    from pipeline.annotate.api import annotate
    from pipeline.annotate.beside import names_of
    from pipeline.config import RunSettings
    from pipeline.dataset.reader import Dataset
    from pipeline.progress import Progress, plural

    dataset, on_ray = Dataset(arguments.dataset), arguments.engine == "ray"
    measure = partial(
        annotate,
        arguments.dataset,
        names_of(arguments.annotators),
        audio=arguments.audio,
        text=arguments.text,
        asr=arguments.asr,
        language=arguments.language,
        device=arguments.device,
        threads=arguments.threads or (RunSettings().worker_cpus if on_ray else None),
    )
    with Progress("annotating", sum(state.rows for state in dataset.states()), "row") as progress:
        made = shared(measure, arguments, progress=progress.counted)
    total = plural(len(dataset.states()), "shard")
    if on_ray:  # this process made what was left
        print(f"{total} measured")
    else:
        print(f"{made:,} of {total} measured" if made else f"{total} measured before: nothing to do")
    return 0
