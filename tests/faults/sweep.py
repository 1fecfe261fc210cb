"""Plays every scenario once for every fault at every call, and tells what was not survived.

make faults                         the whole sweep, and its table in tests/faults/results.md
python -m faults.sweep --every 50   each 50th fault, from the folder tests/
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from publish_hub import TOKEN, Hub
from publish_hub_server import serving

from faults.scenarios import TOKENIZER, Place, Scenario, build_corpus, content, everything, on_ray
from faults.shim import KILLS, NEEDS, Injector, Mode, build
from faults.zygote import Ended, Zygote

RESULTS = Path(__file__).with_name("results.md")
MODES = [mode for mode in Mode if mode > Mode.COUNT]
SENTENCE_STATUS = {1, 130}


@dataclass(frozen=True)
class Case:
    """A scenario, the fault, and the number of the call that meets it."""

    scenario: Scenario
    mode: Mode
    at: int


@dataclass
class Outcome:
    """What became of a case; no problem: it was survived."""

    case: Case
    call: str  # name and path
    problems: list[str]
    said: str = ""  # on standard error, by the command under fault

    def __str__(self) -> str:
        case = self.case
        return (
            f"{case.scenario.name}, {case.mode.name} at {case.at} ({self.call}): {'; '.join(self.problems)}"
        )


@dataclass
class Bench:
    """A zygote with its folder: plays one scenario at a time."""

    folder: Path
    hub: Hub
    injector: Injector
    zygote: Zygote
    place: Place = field(init=False)
    scenario: Scenario | None = None
    kinds: str = ""  # of the command's calls, when nothing disturbs it
    expected: dict[str, bytes] = field(default_factory=dict)

    def set_up(self, scenario: Scenario) -> None:
        """Make what the scenario starts from, and learn what an undisturbed run gives."""
        self.place = Place(self.folder / "play")
        shutil.rmtree(self.place.folder, ignore_errors=True)
        (self.place.box / "tmp").mkdir(parents=True)
        build_corpus(self.place)
        self.scenario = scenario
        for words in scenario.before:
            self._must(words)
        if scenario.change:
            scenario.change(self.place)
        shutil.copytree(self.place.box, self.place.folder / "start")
        self.injector.arm(self._struck, Mode.COUNT)
        ended = self._run(scenario.command)
        self.kinds = self.injector.kinds
        self.injector.disarm()
        assert ended.status in (0, 4), f"{scenario.name} ends with {ended.status}: {ended.err}"
        self.usual = ended.status
        for words in scenario.after:
            self._must(words)
        self.expected = self._content()

    def cases(self) -> Iterator[Case]:
        """Every fault that this scenario can meet."""
        assert self.scenario is not None
        for mode in MODES:
            for number, kind in enumerate(self.kinds, 1):
                if kind in NEEDS.get(mode, kind):
                    yield Case(self.scenario, mode, number)

    def play(self, case: Case) -> Outcome:
        """Run under the fault, then again without, and compare."""
        shutil.rmtree(self.place.box)
        shutil.copytree(self.place.folder / "start", self.place.box)
        self.hub.private.clear()
        self.hub.branches.clear()
        self.hub.objects.clear()
        self.injector.arm(self._struck, case.mode, case.at)
        ended = self._run(case.scenario.command)
        call = self.injector.met
        self.injector.disarm()
        problems = list(self._ending(case, ended, call))
        command = case.scenario.again or case.scenario.command
        for words in (command, *case.scenario.after):
            again = self._run(words, fork=case.scenario.workers)
            if again.status != (self.usual if words == command else 0):
                problems.append(f"the rerun ends with {again.status}: {again.err.strip()[-300:]}")
                break
        else:
            found = self._content()
            names = sorted(n for n in {*found, *self.expected} if found.get(n) != self.expected.get(n))
            if names:
                problems.append(f"after the rerun differ: {', '.join(names[:5])}")
        return Outcome(case, call, problems, ended.err)

    def _ending(self, case: Case, ended: Ended, call: str) -> Iterator[str]:
        if "Traceback" in ended.err:
            yield f"traceback ({ended.err.strip().splitlines()[-1][:200]})"
        elif case.mode in KILLS and not case.scenario.workers:
            if call and ended.status != -9:
                yield f"survives SIGKILL with {ended.status}"
        elif ended.status == self.usual or (ended.status == -signal.SIGKILL and case.mode in KILLS):
            return
        elif ended.status not in SENTENCE_STATUS:
            yield f"ends with {ended.status}: {ended.err.strip()[-200:]}"
        elif sum(line.startswith("error: ") for line in ended.err.splitlines()) != 1:
            yield f"does not end with one sentence: {ended.err.strip()[-300:]!r}"

    @property
    def _struck(self) -> Path:
        assert self.scenario is not None
        return self.place.folder / self.scenario.struck

    def _content(self) -> dict[str, bytes]:
        found = content(self.place.box)
        assert self.scenario is not None
        if self.scenario.hub:
            found |= {f"hub/{name}": held for name, held in self.hub.files("user/speech").items()}
        return found

    def _run(self, words: Sequence[str], *, fork: bool = True) -> Ended:
        assert self.scenario is not None
        return self.zygote.run(*self.place.words(words), fork=fork, workers=self.scenario.workers)

    def _must(self, words: Sequence[str]) -> None:
        ended = self._run(words)
        assert ended.status == 0, f"{words} ends with {ended.status}: {ended.err}"


@contextlib.contextmanager
def bench(folder: Path, library: Path) -> Iterator[Bench]:
    """A bench in `folder`, with a Hub of its own."""
    for name in ("home", "play/box/tmp"):
        (folder / name).mkdir(parents=True)
    injector = Injector(folder / "state", library)
    with serving() as hub, tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as ray:
        environment = {
            **injector.environment,
            "FAULTS_TOKENIZER": TOKENIZER,
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": TOKEN,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HOME": str(folder / "home"),
            "RAY_TMPDIR": ray,
            "TMPDIR": str(folder / "play" / "box" / "tmp"),
            "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        zygote = Zygote(folder, environment)
        try:
            yield Bench(folder, hub, injector, zygote)
        finally:
            zygote.close()


def sweep(
    folder: Path,
    scenarios: Sequence[Scenario],
    *,
    every: int = 1,
    share: tuple[int, int] = (0, 1),
    limit: float = float("inf"),
) -> Iterator[Outcome]:
    """Play each `every`-th case, of which this is the share (number, of), until `limit` seconds are over."""
    ends = time.monotonic() + limit
    with bench(folder, build(folder.parent)) as played:
        for scenario in scenarios:
            played.set_up(scenario)
            step = every * scenario.every
            for case in list(played.cases())[share[0] * step :: share[1] * step]:
                if time.monotonic() > ends:
                    return
                outcome = played.play(case)
                if outcome.call:  # else the run was over before
                    yield outcome


def main() -> int:
    """Sweep, print what was not survived, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help="play each N-th case (1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes")
    parser.add_argument("--only", default="", metavar="WORD", help="scenarios with this in their name")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table here")
    arguments = parser.parse_args()
    chosen = [scenario for scenario in (*everything(), *on_ray()) if arguments.only in scenario.name]
    started, outcomes = time.monotonic(), list[Outcome]()
    memory = Path("/dev/shm")

    def work(number: int) -> None:
        share, run = (number, arguments.jobs), ""
        for outcome in sweep(Path(folder) / str(number), chosen, every=arguments.every, share=share):
            if outcome.case.scenario.name != run:
                run, minutes = outcome.case.scenario.name, (time.monotonic() - started) / 60
                print(f"{minutes:.0f} min, {len(outcomes):,} faults played: {run}", flush=True)
            outcomes.append(outcome)
            if outcome.problems:
                print(outcome, flush=True)

    with tempfile.TemporaryDirectory(prefix="faults-", dir=memory if memory.is_dir() else None) as folder:
        build(Path(folder))
        with ThreadPoolExecutor(arguments.jobs) as pool:
            list(pool.map(work, range(arguments.jobs)))
    table = in_words(outcomes, time.monotonic() - started)
    print(table)
    if arguments.table:
        arguments.table.write_text(table)
        figures = {
            f"{scenario} {mode}": [tried, survived]
            for (scenario, mode), (tried, survived) in counts(outcomes).items()
        }
        arguments.table.with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n")
    return int(any(outcome.problems for outcome in outcomes))


def counts(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], tuple[int, int]]:
    """Faults tried and survived, by scenario and fault."""
    found: dict[tuple[str, str], tuple[int, int]] = collections.defaultdict(lambda: (0, 0))
    for outcome in outcomes:
        key = outcome.case.scenario.name, outcome.case.mode.name
        tried, survived = found[key]
        found[key] = tried + 1, survived + (not outcome.problems)
    return dict(found)


def in_words(outcomes: Sequence[Outcome], seconds: float) -> str:
    """The table: a row a scenario, a column a fault, `survived/tried` in each field."""
    counted = counts(outcomes)
    lines = [
        "| run | " + " | ".join(mode.name.lower().replace("_", " ") for mode in MODES) + " | all |",
        "|---|" + "---:|" * (len(MODES) + 1),
    ]
    for name in [*dict.fromkeys(scenario for scenario, _ in counted), "all"]:
        row = []
        for mode in [*(mode.name for mode in MODES), "all"]:
            met = [n for (s, m), n in counted.items() if name in (s, "all") and mode in (m, "all")]
            row.append(f"{sum(n[1] for n in met):,}/{sum(n[0] for n in met):,}" if met else "")
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    kills = sum(outcome.case.mode in KILLS for outcome in outcomes)
    lines += ["", f"{len(outcomes):,} faults, {kills:,} of them kills, in {seconds / 60:.0f} minutes."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
