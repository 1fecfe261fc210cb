"""What annotating costs: beside encoding, and later, against a plain loop over the same libraries.

    python -m benchmarks.annotate_speed prompts        # prompts: see benchmarks/annotate.py; an idle machine

Measures `level`, `quality` and `codes` of English prompts with the sample codec. Prints the figures and
writes benchmarks/results/annotate-speed.json.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import soundfile

from benchmarks.common import save, seconds
from benchmarks.long_recordings import read_prompts
from benchmarks.planted import LONGEST, Planted, write
from pipeline.annotate.annotators.level import Level
from pipeline.annotate.api import annotate
from pipeline.build.dataset import create_dataset
from pipeline.dataset.reader import Dataset

NAMES = ("level", "quality", "codes")


def loop(clips: Path) -> None:
    """Read each recording and give it to speechmos and to the measures of `level`, one after the other."""
    from speechmos import dnsmos

    level = Level()
    for path in sorted(clips.iterdir()):
        waveform, rate = soundfile.read(path, dtype="float32")
        level.hear(waveform, rate)
        dnsmos.run(waveform.clip(-1, 1), rate)


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds that annotating takes.")
    parser.add_argument("prompts", type=Path, help="where the Debian packages are unpacked, or /")
    parser.add_argument("--clips", type=int, default=200, metavar="N", help="prompts to take [200]")
    arguments = parser.parse_args()
    prompts = [one for one in read_prompts(arguments.prompts, trim=False) if len(one.waveform) < LONGEST]
    chosen = prompts[:: max(len(prompts) // arguments.clips, 1)][: arguments.clips]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write([Planted(one.name.replace("/", "-"), one.text, one.waveform) for one in chosen], root)
        paths = root / "clips", root / "metadata.csv"
        create_dataset(*paths, output=root / "warm")  # what is loaded once is loaded
        found = {
            "create": seconds(lambda: create_dataset(*paths, output=root / "plain")),
            "create_and_level_codes": seconds(lambda: beside(paths, root / "some", "level,codes")),
            "create_and_all": seconds(lambda: beside(paths, root / "all", ",".join(NAMES))),
            "annotate_later": seconds(lambda: annotate(Dataset(root / "plain"), NAMES)),
            "plain_loop": seconds(lambda: loop(root / "clips")),
        }
    figures = {
        **{name: round(value, 1) for name, value in found.items()},
        "level_codes_over_create_percent": percent(found["create_and_level_codes"], found["create"]),
        "all_over_create_percent": percent(found["create_and_all"], found["create"]),
        "loop_over_later": round(found["plain_loop"] / found["annotate_later"], 2),
    }
    for name, value in figures.items():
        print(f"{name:36}{value:10}")
    save("annotate-speed", {"clips": len(chosen), "seconds": figures})


def beside(paths: tuple[Path, Path], output: Path, names: str) -> None:
    create_dataset(*paths, output=output, settings={"run.annotate": names})


def percent(more: float, less: float) -> float:
    return round(100 * (more / less - 1), 1)


if __name__ == "__main__":
    main()
