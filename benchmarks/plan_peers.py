"""Planning beside what lhotse, NeMo and img2dataset do first with the same corpus.

.venv/bin/python -m benchmarks.plan_peers --rows 100000
.venv/bin/python -m benchmarks.plan_peers --nemo NEMO/bin/python --img2dataset IMG/bin/python

lhotse is one of this project's tools. The other two want versions of their own, so each is the interpreter of
an environment that has it: `pip install img2dataset`; `pip install 'nemo_toolkit[core,common]'`. Without an
interpreter it is left out. Each program has a process of its own, one after the other, and beside its figures
stands what it does not do. The ratio is that of processor seconds, which other work on the machine disturbs
less than the wall's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import plan
from benchmarks.common import save

SHARD = 1000
CORES = len(os.sched_getaffinity(0))
MEASURED = """
import json, time
from benchmarks.common import cpu_seconds, peak_mib
{imports}
if __name__ == "__main__":
    imports, started, used = peak_mib()["peak_mib"], time.perf_counter(), cpu_seconds()
    {work}
    took = {{"seconds": time.perf_counter() - started, "cpu_seconds": cpu_seconds() - used}}
    took = {{name: round(each, 2) for name, each in took.items()}}
    print(json.dumps(took | {{"peak_mib_of_imports": imports}} | peak_mib()))
"""


@dataclass(frozen=True)
class Peer:
    """A program that reads the corpus `form`, and what it leaves out of what planning here does.

    Loading what it imports is not counted.
    """

    form: Callable[[Path, int], plan.Opening]
    imports: str
    work: str
    interpreter: str = "own"  # the option that names it
    lacks: str = ""


OURS = (
    "from pathlib import Path; from benchmarks import plan; from pipeline.config import CorpusSettings; "
    "from pipeline.corpus import open_corpus",
    "corpus = CorpusSettings(audio={audio!r}, text={text!r}); "
    "plan.planned(lambda: open_corpus(corpus), Path({out!r}), {rows}, None)",
)
CHECKS = "no look for duplicate ids, no check of texts, no comparison with an earlier run"
PEERS = {
    "files: this pipeline": Peer(plan.files, *OURS),
    "files: lhotse RecordingSet.from_dir": Peer(
        plan.files,
        "from lhotse import RecordingSet",
        "RecordingSet.from_dir({audio!r}, '*.wav', num_jobs={cores}).to_file({out!r} + '/all.jsonl.gz')",
        lacks=f"reads the headers, no transcripts; all in memory; {CHECKS}",
    ),
    "jsonl: this pipeline": Peer(plan.jsonl, *OURS),
    "jsonl: lhotse CutSet.split_lazy": Peer(
        plan.jsonl,
        "from lhotse import CutSet",
        "CutSet.from_jsonl_lazy({cuts!r}).split_lazy({out!r}, chunk_size={shard})",
        lacks=f"reads its own form of the entries, and no headers; {CHECKS}",
    ),
    "jsonl: NeMo ASRAudioText": Peer(
        plan.jsonl,
        "from nemo.collections.common.parts.preprocessing.collections import ASRAudioText",
        "ASRAudioText({text!r}, parser=lambda text: [], min_duration=0.1, max_duration=30.0)",
        "nemo",
        f"reads no headers and writes nothing; all in memory; {CHECKS}",
    ),
    "jsonl: img2dataset Reader": Peer(
        plan.jsonl,
        "from img2dataset.reader import Reader",
        "list(Reader({text!r}, 'jsonl', 'audio_filepath', 'text', None, None, ['id', 'offset', 'duration'], "
        "{shard}, set(), {out!r}))",
        "img2dataset",
        f"reads no headers; all in memory; {CHECKS}",
    ),
}


def cuts(path: Path, rows: int) -> None:
    """The entries of `plan.jsonl` as lhotse writes cuts."""
    with path.open("w") as file:
        for number in range(rows):
            audio, start = plan.segment(number)
            source = {"type": "file", "channels": [0], "source": audio}
            samples = round(plan.RECORDING * 8000)
            recording = {"id": audio, "sources": [source], "sampling_rate": 8000, "num_samples": samples}
            name = f"u{number:010d}"
            said = {"id": name, "recording_id": audio, "start": 0.0, "duration": plan.SEGMENT, "channel": 0}
            cut = {
                "id": name,
                "start": start,
                "duration": plan.SEGMENT,
                "channel": 0,
                "supervisions": [said | {"text": f"the text of utterance {number}"}],
                "recording": recording | {"duration": plan.RECORDING, "channel_ids": [0]},
                "type": "MonoCut",
            }
            file.write(json.dumps(cut) + "\n")


def measure(peer: Peer, interpreter: str, root: Path, rows: int) -> dict[str, Any]:
    texts = {"files": "text.txt", "jsonl": "text.jsonl"}
    with tempfile.TemporaryDirectory() as out:
        work = peer.work.format(
            audio=str(root / "audio"),
            text=str(root / texts[peer.form.__name__]),
            cuts=str(root / "cuts.jsonl"),
            out=out,
            rows=rows,
            shard=SHARD,
            cores=CORES,
        )
        file = Path(out, "measured.py")
        file.write_text(MEASURED.format(imports=peer.imports, work=work))
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
        ran = subprocess.run([interpreter, file], capture_output=True, text=True, env=environment)
    if ran.returncode:
        raise SystemExit(ran.stderr)
    figures: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return figures | ({"lacks": peer.lacks} if peer.lacks else {})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=200_000)
    for name in ("nemo", "img2dataset"):
        parser.add_argument(f"--{name}", metavar="PYTHON", help="interpreter of an environment that has it")
    arguments = parser.parse_args()
    rows, interpreters = arguments.rows, {"own": sys.executable, **vars(arguments)}
    found: dict[str, Any] = {"rows": rows}
    with tempfile.TemporaryDirectory() as folder:
        for form in (plan.files, plan.jsonl):
            root = Path(folder, form.__name__)
            root.mkdir()
            form(root, rows)
            cuts(root / "cuts.jsonl", rows)
            ours = 0.0
            for name, peer in PEERS.items():
                interpreter = interpreters[peer.interpreter]
                if peer.form is not form or interpreter is None:
                    continue
                figures = measure(peer, interpreter, root, rows)
                ours = ours or figures["cpu_seconds"]
                figures["times_ours"] = round(figures["cpu_seconds"] / ours, 3)
                found[name] = figures
                print(name, json.dumps(figures), flush=True)
    save("plan_peers", found)


if __name__ == "__main__":
    main()
