"""Runs, kills and runs again for as long as one likes; whatever is left over is told.

make soak                   an hour: of whole runs in processes of their own, and of many runs in one process
make soak SECONDS=60
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from faults.scenarios import CODEC, Place, build_corpus, content

ROOT = Path(__file__).parents[2]
SHARED_MEMORY = Path("/dev/shm")
CLIPS = 40
SLOW = f"{CODEC},seconds_a_batch=0.1"  # so that kills fall into the work
PATIENCE = 30.0  # seconds in which every process of a killed run must be gone
WARM_UP = 20  # runs in one process before what it holds is taken as its measure
ALLOWED_GROWTH = 16 << 20  # bytes of memory, however many runs
ALLOWED_THREADS = 8  # more, however many runs: the pools of libraries start theirs as work comes
FAMILY = 5  # processes of a run at work: itself, Python's tracker and fork server, two workers
WORK = 1.0  # seconds of it, roughly
TRACKER = "resource_tracker"  # Python's: one that is killed comes again, and tells what it does not know
WAYS = ("finished", "run killed", "worker killed", "interrupted")


def processes(session: int) -> list[int]:
    """The processes of a session that are alive."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def ends(process: int, seconds: float) -> bool:
    """Wait for a process; whether it ended in time."""
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    with os.fdopen(descriptor) as opened:
        ended = select.poll()
        ended.register(opened, select.POLLIN)
        return bool(ended.poll(seconds * 1000))


@dataclass
class Soak:
    """Runs on one corpus, and what they left."""

    folder: Path
    seed: int = 0
    problems: list[str] = field(default_factory=list)
    rounds: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.place = Place(self.folder)
        self.temporary = self.folder / "temporary"
        self.temporary.mkdir()
        self.chance = random.Random(self.seed)
        build_corpus(self.place, CLIPS)
        self.place.box.mkdir()
        self._round("finished")
        self.expected = content(self.place.box)
        shutil.rmtree(self.place.box)

    def round(self, way: str) -> None:
        """Run in this way; whenever a run comes to its end, compare the dataset and begin again."""
        if self._round(way):
            if content(self.place.box) != self.expected:
                self.problems.append(f"{way}: the files differ from those of an undisturbed run")
            shutil.rmtree(self.place.box)
        self.rounds[way] += 1

    def _round(self, way: str) -> bool:
        """Whether the dataset is finished after it."""
        words = ["create", str(self.place.audio), str(self.place.text), "-o", str(self.place.box / "out")]
        words += ["--codec", SLOW, "--shard-size", "5", "--num-workers", "2", "--batch-seconds", "0.5"]
        run = subprocess.Popen(
            [sys.executable, "-m", "pipeline", *words],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(self.temporary), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        known = {run.pid}
        victim = ""
        if way != "finished":
            while len(members := processes(run.pid)) < FAMILY and not ends(run.pid, 0.05):
                pass
            ends(run.pid, self.chance.uniform(0.0, WORK))
            known.update(members)
            victim = self._disturb(run, way, members)
        _, said = run.communicate()
        for process in processes(run.pid):
            known.add(process)
            if not ends(process, PATIENCE):
                self.problems.append(f"{way}: process {process} outlives its run")
                os.kill(process, signal.SIGKILL)
        self._check(way, run.returncode, said if TRACKER not in victim else "")
        self._nothing_left(way, known)
        return run.returncode == 0

    def _disturb(self, run: subprocess.Popen[str], way: str, members: list[int]) -> str:
        """Disturb the run; return the command line of the process that was killed, if it was another's."""
        workers = [member for member in members if member != run.pid]
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            if way == "run killed":
                run.kill()
            elif way == "interrupted":
                run.send_signal(self.chance.choice([signal.SIGINT, signal.SIGTERM]))
            elif workers:
                chosen = self.chance.choice(workers)
                victim = Path(f"/proc/{chosen}/cmdline").read_bytes().decode(errors="replace")
                os.kill(chosen, signal.SIGKILL)
                return victim
        return ""

    def _check(self, way: str, status: int, said: str) -> None:
        allowed = {"run killed": {0, -9}, "interrupted": {0, 130, -2, -15}}.get(way, {0})
        if way == "worker killed":
            allowed.add(1)  # it was the fork server or the resource tracker
        if status not in allowed or "Traceback" in said:
            self.problems.append(f"{way}: the run ends with {status}: {said.strip()[-500:]}")

    def _nothing_left(self, way: str, known: set[int]) -> None:
        left = [path.name for path in self.temporary.iterdir()]
        if SHARED_MEMORY.is_dir():  # names there hold the process; those of others are not ours to judge
            numbers = "|".join(map(str, known))
            left += [p.name for p in SHARED_MEMORY.iterdir() if re.search(rf"[-_]({numbers})[-_]", p.name)]
        if left:
            self.problems.append(f"{way}: {', '.join(sorted(left)[:5])} stay behind")
            shutil.rmtree(self.temporary)
            self.temporary.mkdir()


@dataclass(frozen=True)
class Held:
    """What a process holds."""

    memory: int  # bytes
    files: int
    threads: int
    children: int

    @classmethod
    def by(cls, process: int) -> Held:
        """What a process of this machine holds now."""
        proc = Path(f"/proc/{process}")
        memory = int((proc / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        tasks = list((proc / "task").iterdir())
        children = sum(len((task / "children").read_text().split()) for task in tasks)
        return cls(memory, len(list((proc / "fd").iterdir())), len(tasks), children)


def many_runs(folder: Path, seconds: float, at_least: int = WARM_UP + 20) -> tuple[int, Held, Held]:
    """Make datasets in this process; their number, what it held after the first ones, and at the end."""
    from pipeline.build.dataset import create_dataset

    place = Place(folder)
    build_corpus(place)
    settings = {"codec.name": CODEC, "output.shard_size": 5, "load.num_workers": 0}
    begun, runs, warm = time.monotonic(), 0, Held.by(os.getpid())
    while runs < at_least or time.monotonic() - begun < seconds:
        for name in ("out", "name.jsonl"):
            create_dataset(place.audio, place.text, output=place.box / name, settings=settings)
        shutil.rmtree(place.box)
        runs += 2
        if runs == WARM_UP:
            warm = Held.by(os.getpid())
    return runs, warm, Held.by(os.getpid())


def growth(warm: Held, end: Held) -> Iterator[str]:
    """What a process holds more of than after its first runs."""
    if end.memory > warm.memory + ALLOWED_GROWTH:
        yield f"memory grew from {warm.memory / 1e6:.0f} to {end.memory / 1e6:.0f} MB"
    for name, allowed in (("files", 0), ("threads", ALLOWED_THREADS), ("children", 0)):
        if getattr(end, name) > getattr(warm, name) + allowed:
            yield f"{name} grew from {getattr(warm, name)} to {getattr(end, name)}"


def main() -> int:
    """Soak, and tell what was left over."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3600.0, metavar="S", help="how long (3600)")
    parser.add_argument("--seed", type=int, default=0, help="chooses the instants of the kills (0)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        runs, warm, end = many_runs(Path(folder) / "one", arguments.seconds / 4)
        problems = list(growth(warm, end))
        print(f"{runs:,} runs in one process, which holds {end}, and held {warm} after {WARM_UP}")
        (Path(folder) / "many").mkdir()
        soak = Soak(Path(folder) / "many", arguments.seed)
        begun = time.monotonic()
        while time.monotonic() - begun < arguments.seconds * 3 / 4 or not soak.rounds:
            for way in WAYS:
                soak.round(way)
        problems += soak.problems
    print(", ".join(f"{count:,} {way}" for way, count in soak.rounds.items()))
    print("\n".join(problems) or "nothing is left over")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
