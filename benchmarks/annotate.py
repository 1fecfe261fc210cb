"""How well each column ranks the fault it is made for: planted faults in real prompts, area under the ROC.

    apt-get download asterisk-core-sounds-{en,fr,es}-g722 asterisk-core-sounds-{en,fr,es}
    for each in asterisk*.deb; do dpkg -x $each prompts; done
    python -m benchmarks.annotate prompts                # 10 minutes on two busy cores
    python -m benchmarks.annotate prompts --speed        # what annotating costs; on an idle machine

`planted.py` makes the corpus. Prints a table and writes benchmarks/results/annotate.json.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import save, seconds
from benchmarks.planted import CLEAN, NOISES, Planted, plant, write
from pipeline.annotate.api import annotate
from pipeline.annotate.files import annotated, read_annotations
from pipeline.build.dataset import create_dataset
from pipeline.dataset.reader import Dataset

EACH = 25  # clips of each fault
ANNOTATORS = ("level", "codes", "duplicates", "copies", "speaker", "language", "transcript", "quality")
SETTINGS = {"output.shard_size": 50}  # so that a run that is stopped goes on
MADE_FOR = {  # by fault: the columns made for it, and whether more of it is worse
    **{f"noise_{level}": {"snr": False, "dnsmos_bak": False} for level in NOISES},
    "clipping": {"clipped": True},
    "cut_end": {"edge": True},
    "swapped_text": {"cer": True, "wer": True},
    "second_voice": {"dnsmos_bak": False, "speaker_similarity": False, "wer": True},
    "another_voice": {"speaker_similarity": False},
    "wrong_language": {"stated_language_confidence": False},
    "copy": {"copy_similarity": True, "duplicate_similarity": True},
}


def area(faulty: np.ndarray, clean: np.ndarray) -> float:
    """Probability that a faulty clip has more than a clean one, ties half: the area under the ROC curve."""
    return float(((faulty[:, None] > clean).mean() + (faulty[:, None] >= clean).mean()) / 2)


def figures(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """All figures of each row, by id."""
    found: dict[str, dict[str, Any]] = {}
    for name in annotated(dataset):
        for table in read_annotations(dataset, name):
            for row in table.to_pylist():
                found.setdefault(row["id"], {}).update(row)
    return found


def ranked(clips: list[Planted], found: dict[str, dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """By fault and column: the area against clean clips, and against all others."""
    faults = np.array([clip.fault for clip in clips])
    table: dict[str, dict[str, dict[str, float]]] = {}
    for fault, columns in MADE_FOR.items():
        for column, more in columns.items():
            values = [found[clip.id][column] for clip in clips]
            worst = np.array([0.0 if value is None else value if more else -value for value in values])
            table.setdefault(fault, {})[column] = {
                "clean": round(area(worst[faults == fault], worst[faults == CLEAN]), 4),
                "all_others": round(area(worst[faults == fault], worst[faults != fault]), 4),
                "missing": sum(value is None for value in values),
            }
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description="Planted faults, and the columns that find them.")
    parser.add_argument("prompts", type=Path, help="where the Debian packages are unpacked, or /")
    parser.add_argument(
        "--each", type=int, default=EACH, metavar="N", help="clips of each fault [%(default)s]"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep corpus and dataset there")
    arguments = parser.parse_args()
    clips = plant(arguments.prompts, arguments.each)
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.keep or Path(folder)
        if not (root / "clips").exists():
            write(clips, root)
        dataset = create_dataset(
            root / "clips", root / "metadata.csv", output=root / "out", settings=SETTINGS
        )
        for name in ANNOTATORS:
            took = seconds(lambda name=name: annotate(dataset, [name]))
            print(f"{name}: {took:,.0f} s", flush=True)
        found = figures(dataset)
    clips = [clip for clip in clips if clip.id in found]
    table = ranked(clips, found)
    for fault, columns in table.items():
        for column, areas in columns.items():
            print(f"{fault:16}{column:28}{areas['clean']:8.3f}{areas['all_others']:8.3f}")
    save("annotate", {"clips": len(clips), "each": arguments.each, "areas": table})


if __name__ == "__main__":
    main()
