"""A small corpus with faults in it, and what a dataset of it holds, for the tests of engines and stores."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.build.create import create
from pipeline.config import Settings
from pipeline.storage.claims import Rank, claimed

CLIPS = 24
SMALL = {"codec.name": "fake:", "output.shard_size": 5, "load.batch_seconds": 2.0, "load.num_workers": 0}


def build_corpus(root: Path, make_clip: Callable[..., Path]) -> dict[str, str]:
    """Clips of several lengths and rates below `root / "audio"`, a broken one and a missing one."""
    lines = []
    for i in range(CLIPS):
        make_clip(f"u{i:02d}.wav", seconds=0.1 + 0.07 * (i % 9), rate=(16000, 22050, 8000)[i % 3])
        lines.append(f"u{i:02d}:text {i}: with a colon\n")
    (root / "audio" / "broken.wav").write_bytes(b"RIFF....WAVE")
    (root / "text.txt").write_text("".join([*lines, "broken:broken audio\n", "gone:no audio\n"]))
    return {"corpus.audio": str(root / "audio"), "corpus.text": str(root / "text.txt")}


def settings_for(corpus: dict[str, str], **values: object) -> Settings:
    return Settings().with_values({**SMALL, **corpus, **values})


def make(root: Path, settings: Settings, say: Callable[[str], object] = lambda line: None) -> Path:
    """Make the dataset and return its folder."""
    with claimed(root):
        create(root, settings, say)
    return root


def annotated_killed_once(root: Path, names: list[str], rank: Rank, device: str | None) -> None:
    """Annotate `root` in a process that is killed when it has written a file, once a rank."""
    from pipeline.annotate.api import annotate
    from pipeline.annotate.files import AnnotationFile

    seen, write = root.parent / f"killed-{rank.number}", AnnotationFile.write

    def write_and_die(self: AnnotationFile, *arguments: Any) -> None:
        write(self, *arguments)
        if not seen.exists():
            seen.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    AnnotationFile.write = write_and_die  # type: ignore[method-assign]
    annotate(root, names, asr="fake:", device=device or "cpu", rank=rank, say=lambda line: None)


def content(root: Path) -> dict[str, bytes]:
    """Every file's bytes; of states and statistics all but the times that a run took."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not path.name.startswith(".lock"):
            found[name] = timeless(path.read_bytes()) if path.suffix == ".json" else path.read_bytes()
    return found


def timeless(raw: bytes) -> bytes:
    parsed = json.loads(raw)
    for key in ("timings", "stage_seconds", "times_real_time"):
        parsed.pop(key, None)
    return json.dumps(parsed, sort_keys=True).encode()
