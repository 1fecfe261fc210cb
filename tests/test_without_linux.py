"""The default way needs nothing that only Linux has: first clips are tried on laptops with macOS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Python imports this at the start of every process, so of the loader's workers too.
WITHOUT_LINUX = """
import fcntl, multiprocessing.heap, os, resource, select, signal, sys

for module, names in {
    os: "sched_getaffinity sched_setaffinity pidfd_open eventfd memfd_create "
        "posix_fadvise posix_fallocate copy_file_range splice setns unshare "
        "getrandom O_DIRECT O_TMPFILE O_PATH listxattr getxattr setxattr",
    select: "epoll",
    signal: "sigtimedwait sigwaitinfo SIGPWR SIGSTKFLT",
    fcntl: "F_ADD_SEALS F_GET_SEALS F_SETPIPE_SZ F_GETPIPE_SZ F_OFD_SETLK F_OFD_SETLKW F_NOTIFY",
    resource: "prlimit RLIMIT_MSGQUEUE RLIMIT_NICE RLIMIT_RTPRIO RLIMIT_SIGPENDING",
}.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
multiprocessing.heap.Arena._dir_candidates = []  # as it is elsewhere
multiprocessing.set_start_method("spawn", force=True)  # likewise

def refuse(event, arguments):
    if event == "open" and str(arguments[0]).startswith(("/proc", "/sys", "/dev/shm")):
        raise FileNotFoundError(2, "only Linux has it", arguments[0])

sys.addaudithook(refuse)
"""


def test_a_dataset_is_made_without_the_names_that_only_linux_has(tmp_path, make_clip):
    for number in range(5):
        make_clip(f"{number}.wav", seconds=0.5 + number / 10)
    (tmp_path / "texts.txt").write_text("".join(f"{number}: text {number}\n" for number in range(5)))
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_LINUX)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    names = "import os, select; print(hasattr(os, 'sched_getaffinity'), hasattr(select, 'epoll'))"
    assert run("-c", names) == "False False\n"
    run(
        "-m", "pipeline", "create", "audio", "texts.txt", "-o", "out", "--codec", "fake:", "--format", "jsonl"
    )
    rows = [json.loads(line) for line in (tmp_path / "out/data/train-00000.jsonl").read_text().splitlines()]
    assert [row["text"] for row in rows] == [f"text {number}" for number in range(5)]
    assert "1 of 1 shard measured" in run("-m", "pipeline", "annotate", "out", "--with", "level,duplicates")
