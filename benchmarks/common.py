"""What every benchmark writes beside its figures: the versions and the processor they were measured on."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def environment() -> dict[str, Any]:
    """Processor, cores and the versions of what does the work."""
    packages = ("torch", "torchaudio", "transformers", "datasets", "pyarrow", "soundfile")
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.partition(":")[2].strip()
            for line in cpuinfo.read_text().splitlines()
            if "model name" in line
        ]
        model = names[0] if names else model
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


def save(name: str, figures: dict[str, Any]) -> None:
    """Write `results/{name}.json`."""
    RESULTS.mkdir(exist_ok=True)
    content = {"environment": environment(), **figures}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
