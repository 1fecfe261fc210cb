"""The shortest soak: 40 runs in one process, and a run for each way in which one may end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from faults.soak import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what processes hold is read from /proc")


def test_runs_that_end_or_are_killed_leave_nothing_behind() -> None:
    soaked = subprocess.run(
        [sys.executable, "-m", "faults.soak", "--seconds", "0"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert soaked.returncode == 0, soaked.stdout + soaked.stderr
    assert soaked.stdout.endswith("nothing is left over\n")
