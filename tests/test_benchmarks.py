"""The benchmarks run: each at a size that takes seconds, its figures written elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALL = {
    "end_to_end": "--clips 4 --workers 0",
    "encode": "--seconds 4 --rounds 1",
    "export": "--rows 300",
    "plan": "jsonl paths texts tar --rows 300 --processes 1 --once",
    "restart": "disk store --shards 5",
    "validate": "--rows 300",
}
ELSEWHERE = (
    "import sys; from pathlib import Path; from benchmarks import common, {0}; "
    "common.RESULTS = Path(sys.argv.pop(1)); {0}.main()"
)


@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_runs_and_writes_its_figures(name, tmp_path):
    command = [sys.executable, "-c", ELSEWHERE.format(name), str(tmp_path), *SMALL[name].split()]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    (written,) = tmp_path.glob("*.json")
    assert len(json.loads(written.read_text())) > 1
