"""Proves the CUDA path on this machine, in at most 20 minutes, without a download.

    .venv/bin/python -m benchmarks.gpu_check            every line, on a GPU: random full-size weights
    .venv/bin/python -m benchmarks.gpu_check --dry      every line on the CPU, with small models
    .venv/bin/python -m benchmarks.gpu_check --only kernel --only exactness

A line passes, fails, or does not apply. Writes benchmarks/results/gpu-NAME.json and .md, a table. The exit
status is 1 if a line failed, and 2 without a GPU, having said what would be done.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import RESULTS, environment
from benchmarks.gpu import corpora, encoding, speech
from benchmarks.gpu.line import Bench, Line, Verdict
from pipeline.runtime import pick_device

LINES: tuple[Line, ...] = (
    encoding.kernel,
    encoding.exactness,
    encoding.waiting,
    encoding.shares,
    encoding.new_shapes,
    encoding.memory,
    encoding.agreement,
    corpora.equal_bytes,
    corpora.folder_to_shards,
    speech.threads,
    speech.prefill,
    speech.rates,
    corpora.several,
)
WORDS = {True: "PASS", False: "FAIL", None: "----"}


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dry", action="store_true", help="every line on the CPU, with small models")
    names = [line.__name__ for line in LINES]
    parser.add_argument("--only", action="append", choices=names, metavar="LINE", help=", ".join(names))
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="folder for the JSON file and the table"
    )
    arguments = parser.parse_args(given)
    lines = [line for line in LINES if line.__name__ in (arguments.only or names)]
    if not arguments.dry and not torch.cuda.is_available():
        print("no GPU here; on a machine with one this would check:")
        for line in lines:
            print(f"  {line.__name__:17} {line.__doc__}")
        print("--dry runs every line on the CPU with small models")
        return 2
    device = pick_device("cpu" if arguments.dry else "cuda")
    name = "dry" if arguments.dry else torch.cuda.get_device_name(device)
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        found = [checked(line, Bench(device, Path(folder, line.__name__), arguments.dry)) for line in lines]
    write(arguments.results, name, found)
    return int(any(one["passed"] is False for one in found))


def checked(line: Line, bench: Bench) -> dict[str, Any]:
    """Run a line, print what it found and return it; an error is a failure."""
    bench.folder.mkdir(parents=True)
    started = time.perf_counter()
    try:
        verdict = line(bench)
    except Exception as error:
        verdict = Verdict(False, f"{type(error).__name__}: {error}".splitlines()[0])
    seconds = time.perf_counter() - started
    print(f"{WORDS[verdict.passed]}  {line.__doc__}: {verdict.words} ({seconds:.0f} s)", flush=True)
    return {"line": line.__name__, "says": line.__doc__, "seconds": seconds, **asdict(verdict)}


def write(folder: Path, name: str, found: Sequence[dict[str, Any]]) -> None:
    """Write `gpu-NAME.json` and the table `gpu-NAME.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"gpu-{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-').lower()}.json"
    content = {"device": name, "environment": environment(), "lines": found}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    rows = [f"| {WORDS[one['passed']]} | {one['says']} | {one['words']} |" for one in found]
    table = [f"| {name} | line | found |", "|---|---|---|", *rows]
    path.with_suffix(".md").write_text("\n".join(table) + "\n", encoding="utf-8")
    print(f"written: {path} and {path.with_suffix('.md').name}")


if __name__ == "__main__":
    sys.exit(main())
