"""How long planning takes, and how much memory: many small files, the first time and again.

.venv/bin/python -m benchmarks.plan                     200,000 files of 0.1 s
.venv/bin/python -m benchmarks.plan --files 20000
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.common import save, seconds
from pipeline.build.plan import plan
from pipeline.config import CorpusSettings, LimitSettings
from pipeline.corpus import open_corpus

FILES_A_FOLDER = 1000


def make_corpus(root: Path, files: int) -> None:
    """Files of their own, not links to one, so that the disk's caches are not flattered."""
    sample = root / "sample.wav"
    soundfile.write(sample, np.random.default_rng(0).normal(0, 0.1, 1600).astype(np.float32), 16000)
    content = sample.read_bytes()
    sample.unlink()
    with (root / "text.txt").open("w") as text:
        for number in range(files):
            folder = root / "audio" / f"{number // FILES_A_FOLDER:04d}"
            if number % FILES_A_FOLDER == 0:
                folder.mkdir(parents=True)
            (folder / f"utterance{number:07d}.wav").write_bytes(content)
            text.write(f"utterance{number:07d}:the text of utterance {number}\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=200_000)
    files = parser.parse_args().files
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_corpus(root, files)
        settings = CorpusSettings(audio=str(root / "audio"), text=str(root / "text.txt"))

        def work() -> None:
            manifest, _ = plan(
                open_corpus(settings), root / "manifest", limits=LimitSettings(), shard_size=1000
            )
            assert manifest.rows == files

        first, again = seconds(work), seconds(work)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{files:,} files: planned in {first:.1f} s ({files / first:,.0f} a second)")
    print(f"planned again, nothing changed: {again:.1f} s; peak memory {peak:.0f} MiB")
    save("plan", {"files": files, "first_seconds": first, "again_seconds": again, "peak_mib": peak})


if __name__ == "__main__":
    main()
