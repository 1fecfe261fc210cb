"""Threads import nothing: where several do at once, one may be given a half-made module, or wait for ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from engine_helpers import build_corpus

ROOT = Path(__file__).parents[1]
NOTING = """
import sys, threading

class Noting:
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread() is not threading.main_thread():
            print("imported in a thread:", name, file=sys.stderr)

sys.meta_path.insert(0, Noting())
from pipeline.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def imported_in_threads(*words: str) -> list[str]:
    run = subprocess.run([sys.executable, "-c", NOTING, *words], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return [line for line in run.stderr.splitlines() if line.startswith("imported in a thread")]


def test_threads_that_plan_measure_and_read_import_nothing(tmp_path, make_clip):
    corpus, out = build_corpus(tmp_path, make_clip), str(tmp_path / "out")
    create = ("create", corpus["corpus.audio"], corpus["corpus.text"], "-o", out, "--codec", "fake:")
    sample = ("data/sample/audio", "data/sample/transcripts.txt")  # with files for each decoder
    assert imported_in_threads("plan", *sample, "-o", str(tmp_path / "planned")) == []
    assert imported_in_threads(*create, "--num-workers", "0") == []
    assert imported_in_threads("annotate", out, "--with", "level,fingerprint,codes") == []
